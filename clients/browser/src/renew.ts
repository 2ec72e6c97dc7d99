/**
 * Refreshing, for those who do: rotating tokens, or an address to refresh at. Others never load this file.
 *
 * One refresh at a time in all tabs: a Web Lock where there is one, waited for 5 s and then done without, because
 * frozen tabs hold locks. That two tabs refresh at once is harmless: the same question has the same answer.
 */
import type { Exchange } from "./answer.js";
import type { Verdict } from "./decide.js";
import type { Env } from "./env.js";
import type { Rec } from "./tabs.js";
import { openVault, type Pair } from "./vault.js";

/** A refresh waits so long for another tab's, then goes on without the lock. */
const LOCK_MS_MAX = 5_000;

export interface Needs {
  env: Env;
  name: string;
  rotating: boolean;
  byCookie: () => boolean;
  token: () => Promise<string | undefined>;
  claim: (what: string, every: number) => number;
  /** Asks for a successor and decides. */
  judge: (bearer: string | undefined, body: unknown) => Promise<{ verdict: Verdict; answer: Exchange; settle: () => void }>;
  /** The browser keeps nothing: from now on this page's memory has to do. */
  lost: () => void;
  keep: (change: Partial<Rec>, pair?: Pair) => void;
  forgetful: () => boolean;
}

export const openRenewal = ({ env, name, rotating, byCookie, token, claim, judge, lost, keep, forgetful }: Needs) => {
  const vault = openVault(name, lost);
  const locked = async (act: () => Promise<boolean>): Promise<boolean> => {
    const stop = new AbortController();
    let begun: Promise<boolean> | undefined;
    const once = () => {
      cancel();
      return (begun ||= act());
    };
    let late!: () => void;
    const patience = new Promise<void>((done) => (late = done));
    const cancel = env.after(LOCK_MS_MAX, () => {
      stop.abort();
      late();
    });
    try {
      await Promise.race([patience, env.locks!.request(name, { signal: stop.signal }, once)]);
    } catch {}
    return once();
  };
  const refreshOnce = async (used: string | undefined): Promise<boolean> => {
    const bearer = await token();
    // Another tab was first.
    if (bearer != used) return true;
    if (!bearer && (!byCookie() || claim("refresh", LOCK_MS_MAX))) return byCookie();
    const pair = rotating ? await vault() : undefined;
    if (rotating && !pair) return false;
    const { verdict, answer, settle } = await judge(pair ? undefined : bearer, pair ? { token: bearer, a: await proof(pair) } : { token: bearer });
    if (verdict != "valid") settle();
    if (verdict != "valid" || !bearer) return verdict == "valid";
    const fresh = answer.json.token ?? answer.json.access_token;
    if (typeof fresh != "string") return false;
    if (!pair) keep({ token: fresh });
    else {
      // Kept before it is used, and only in place of the one that it follows.
      const kept = await vault((old) => (old?.token == bearer ? { ...old, token: fresh } : undefined));
      if (forgetful()) keep({}, kept);
    }
    return true;
  };
  let refreshing: Promise<boolean> | undefined;
  return {
    vault,
    /** True: there is another credential than `used` now. */
    refresh: (used: string | undefined): Promise<boolean> =>
      (refreshing ||= locked(() => refreshOnce(used).catch(() => false)).finally(() => (refreshing = undefined))),
    /** The pair of a new sign-in. */
    bind: async (g: string, token: string): Promise<Pair | undefined> => {
      const ci = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
      return vault(() => ({ g, token, ci }));
    },
    drop: (g: string) => vault((old) => (old?.g == g ? null : undefined)),
  };
};

/** a = HMAC(ci, t) in base64url; t is the token's secret as it is written. */
const proof = async ({ ci, token }: Pair): Promise<string> =>
  btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.sign("HMAC", ci, new TextEncoder().encode(token.split(".")[5])))))
    .replace(/[+/=]/g, (sign) => ({ "+": "-", "/": "_" })[sign] || "");
