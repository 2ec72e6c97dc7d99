export { createSession } from "./session.js";
export { decide, TABLE } from "./decide.js";
export type { Answer, Asked, Row, Verdict } from "./decide.js";
export type { Env } from "./env.js";
export type { Status } from "./machine.js";
export type { Credentials, Options, Session, Snapshot } from "./types.js";
