/**
 * When is a 401 real? One pure function decides, by a table that is data: no clock, no storage, no network.
 *
 * A signed-out user is the worst thing that this package can cause, so an answer must prove that it comes from
 * the one who knows (our nonce, the gateway as its source, our session), or be repeated under strict conditions
 * (*weak*: see `machine.ts`). Everything else is *unknown*, and unknown never signs anybody out.
 */

/** What one answer says about the session. */
export type Verdict =
  /** Signed in. */
  | "valid"
  /** Proven to be about us and from the one who knows: two in a row sign out. */
  | "strong"
  /** Plausible, not proven: two, ten seconds apart and under calm conditions, sign out. */
  | "weak"
  /** Says nothing. Stays signed in. */
  | "unknown"
  /** About another session: not about us. */
  | "other";

/** An answer, as far as it matters. */
export interface Answer {
  /** Why there is none; empty if there is one. */
  lost: "" | "network" | "timeout" | "redirect";
  status: number;
  /** The body, if it was JSON; else undefined. */
  json: any;
  /** WWW-Authenticate, where it can be read. */
  challenge: string | null;
  /** Steadfast-Nonce, by header or by the gateway's body. */
  nonce: string | null;
  /** Steadfast-Source: gateway or program. */
  source: string | null;
  /** Steadfast-Session: the session that the answer is about. */
  session: string | null;
}

/** What was asked, and what is known. */
export interface Asked {
  /** The nonce that went out with the request. */
  sent: string | null;
  /** The backend has answered as Steadfast before. */
  steadfast: boolean;
  /** Our session's name, if we know it. */
  mine: string | null;
  /** A credential went out, or may have: a page does not see its cookies. */
  credential: boolean;
  /** The answer before this one was a strong denial. */
  again: boolean;
  /** The cookie is a third party's: the browser may block it. */
  third: boolean;
  /** A 403 means what a 401 means (old FastAPI, Django REST framework). */
  forbidden: boolean;
}

interface Facts extends Answer, Asked {
  /** The nonce came back. */
  echo: boolean;
  /** It did, and the gateway itself has answered. */
  gate: boolean;
  ok: boolean;
  denied: boolean;
  /** A refresh was refused for good. */
  grant: boolean;
}

/** Name, condition, verdict. */
export type Row = readonly [name: string, applies: (facts: Facts) => unknown, verdict: Verdict];

/** The table: the first row that applies decides. Its name is the snapshot's `reason`. */
export const TABLE: readonly Row[] = [
  // Nothing came back, or nothing that a page may read.
  ["no-answer", (f) => f.lost, "unknown"],
  // A cache, a service worker, or somebody who is not the backend.
  ["wrong-nonce", (f) => !f.echo && (f.nonce || (f.sent && f.steadfast)), "unknown"],
  // A late answer about the session before a new sign-in.
  ["other-session", (f) => !f.ok && f.session && f.mine && f.session != f.mine, "other"],
  // A proxy that wants its own password.
  ["challenge", (f) => f.status == 401 && f.challenge && (/^\s*basic/i.test(f.challenge) || (!f.echo && !/bearer/i.test(f.challenge))), "unknown"],
  // With an ended session its cookie goes: the second denial names nobody any more.
  ["ended", (f) => f.gate && (f.denied || f.grant) && ((f.mine && f.session == f.mine) || f.again), "strong"],
  // The gateway saw no credential at all, and the browser may have kept the cookie back.
  ["no-cookie", (f) => f.third && f.gate && f.denied && f.challenge && !/error/.test(f.challenge), "unknown"],
  ["no-credential", (f) => f.denied && !f.credential, "unknown"],
  ["denied", (f) => f.denied || f.grant, "weak"],
  ["not-valid", (f) => f.ok && f.json && f.json.valid === false, "weak"],
  ["verified", (f) => f.ok && f.json, "valid"],
  // A captive portal, an error page.
  ["not-json", (f) => f.ok || f.status == 401, "unknown"],
  ["http", () => 1, "unknown"],
];

/** The verdict of an answer, and the row that gave it. */
export const decide = (answer: Answer, asked: Asked): { verdict: Verdict; row: string } => {
  const { status, json } = answer;
  const echo = !!asked.sent && answer.nonce == asked.sent;
  const facts: Facts = {
    ...answer,
    ...asked,
    echo,
    gate: echo && answer.source == "gateway",
    ok: status >= 200 && status < 300,
    denied: (status == 401 || (status == 403 && asked.forbidden)) && (echo || json !== undefined),
    grant: status == 400 && json?.error == "invalid_grant",
  };
  const [row, , verdict] = TABLE.find(([, applies]) => applies(facts))!;
  return { verdict, row };
};
