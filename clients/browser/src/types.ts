import type { Env } from "./env.js";
import type { Status } from "./machine.js";

/** What the page may show. The same object until something changes. */
export interface Snapshot {
  status: Status;
  /** Why, in one word: a row of the table, or what was done. */
  reason: string;
  /** Since when the status is so, in milliseconds since 1970. */
  since: number;
  /** "memory": the browser refuses to keep it, so a token lives until the page is reloaded. */
  storage: "shared" | "memory";
  /** The session's public name, if the backend has one. */
  session?: string;
  /** As the backend names it. */
  user?: unknown;
}

/** Addresses are relative to the page; times are milliseconds. */
export interface Options {
  /** Asked who is signed in. Steadfast's own unless given; the other addresses are then not guessed. */
  verify?: string;
  refresh?: string | undefined;
  ping?: string | undefined;
  login?: string | undefined;
  logout?: string | undefined;
  /** How the credential travels. Without it: a cookie, until `signIn` is given a token. */
  mode?: "cookie" | "bearer" | "rotating";
  /** 30,000; 0: never. */
  pingEvery?: number;
  /** 300,000. */
  verifyEvery?: number;
  /** Tries of one verification: 3. */
  attempts?: number;
  /** How long `fetch` waits through a restart: 30,000. */
  deadline?: number;
  /** One try of a verification, a ping, a refresh: 10,000. */
  timeout?: number;
  /** First pause between tries, doubled each time, with full jitter: 500. */
  backoff?: number;
  /** What a 403 of `verify` means. "denied" for old FastAPI and Django REST framework; "unknown" unless given. */
  forbidden?: "unknown" | "denied";
  /** For tests and unusual hosts. */
  env?: Partial<Env>;
}

/** For `login`: sent as JSON. */
export interface Credentials {
  username: string;
  password: string;
  [more: string]: unknown;
}

export interface Session {
  /** A token from your own login, nothing after a login that set a cookie, or credentials for `login`. */
  signIn(token?: string | Credentials): Promise<Snapshot>;
  signOut(): Promise<Snapshot>;
  /** Asks now, unless it is being asked. */
  verify(): Promise<Snapshot>;
  /** Like `fetch`, with the credential, through a restart. */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Called after every change of the snapshot; the answer ends it. */
  subscribe(listener: () => void): () => void;
  getSnapshot(): Snapshot;
  close(): void;
}
