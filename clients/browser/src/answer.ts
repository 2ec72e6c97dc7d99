/** An HTTP answer, read into what `decide` needs. */
import type { Answer } from "./decide.js";

/** The longest that Retry-After is obeyed. */
const RETRY_MS_MAX = 60_000;

export interface Exchange extends Answer {
  /** Retry-After in milliseconds; 0 without. */
  retry: number;
  /** A page for people: an error page or a captive portal. */
  html: boolean;
}

/** Milliseconds; 0 without. A date counts from the answer's own Date: our clock may be wrong. */
export const retryAfter = (headers: Headers): number => {
  const text = headers.get("retry-after") || "";
  const ms = /^\d+$/.test(text) ? +text * 1000 : Date.parse(text) - Date.parse(headers.get("date") || "");
  return Math.min(Math.max(ms || 0, 0), RETRY_MS_MAX);
};

/** No answer: what is not there, is not there. */
export const none = (lost: Answer["lost"]): Exchange => ({ lost }) as Exchange;

/** Reads an answer, its body included. */
export const read = async (response: Response): Promise<Exchange> => {
  const { status, headers } = response;
  if (!status) return none("redirect");
  const html = /html/i.test(headers.get("content-type") || "");
  let json: any;
  if (!html)
    try {
      json = JSON.parse(await response.text());
    } catch {}
  // A body counts only if it says that it is the gateway's: other backends have nonces and sessions of their own.
  const own = json?.source == "gateway" ? json : {};
  const named = (name: string): string | null => headers.get("steadfast-" + name) || own[name] || null;
  return {
    lost: "",
    status,
    json,
    html,
    challenge: headers.get("www-authenticate"),
    nonce: named("nonce"),
    source: named("source"),
    session: named("session"),
    retry: retryAfter(headers),
  };
};
