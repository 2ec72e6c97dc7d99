/** The session in React: the component renders again when the snapshot changes. */
import { useSyncExternalStore } from "react";
import type { Session, Snapshot } from "./types.js";

export const useSession = (session: Session): Snapshot =>
  useSyncExternalStore(session.subscribe, session.getSnapshot, session.getSnapshot);
