/**
 * The shell around `decide` and `machine`: it asks, waits, keeps and tells. Nothing here decides who is signed in.
 *
 * *Invariant*: nothing is thrown into the page, whatever the network, the storage or the clock do.
 */
import { none, read, type Exchange } from "./answer.js";
import { decide, type Answer, type Asked, type Verdict } from "./decide.js";
import { browser, type Env } from "./env.js";
import { pause, reduce, start, status, type Event, type Trouble } from "./machine.js";
import { openTabs, type Rec } from "./tabs.js";
import type { Options, Session, Snapshot } from "./types.js";
import type { Pair } from "./vault.js";

/** Tabs that wake together verify once within this time. */
const SOON_MS = 1_000;
/** A timer that is so late has slept. */
const SLEPT_MS = 5_000;
/** A longer Retry-After ends a verification; the next one comes after it. */
const PATIENCE_MS = 5_000;

export const createSession = (options: Options = {}): Session => {
  const env: Env = { ...browser(), ...options.env };
  const { mode, pingEvery = 30_000, verifyEvery = 300_000, attempts = 3, deadline = 30_000, timeout = 10_000, backoff = 500 } = options;
  const resolve = (path: string) => new URL(path, env.base).href;
  const verifyAt = resolve(options.verify ?? "/_steadfast/verify");
  const own = /^(.*\/_steadfast\/)verify$/.exec(verifyAt);
  const address = (name: "ping" | "refresh" | "login" | "logout") => {
    const path = name in options ? options[name] : own && own[1] + name;
    return path ? resolve(path) : "";
  };
  const pingAt = pingEvery > 0 ? address("ping") : "";
  // Steadfast's cookie and bearer sessions are not refreshed: the gateway sees every request.
  const rotating = mode == "rotating";
  const refreshAt = own && !rotating && !options.refresh ? "" : address("refresh");
  const { origin } = new URL(verifyAt);
  const home = origin == new URL(env.base).origin;
  const name = "steadfast " + verifyAt;
  const shut = new AbortController();
  const { signal } = shut;
  const listeners = new Set<() => void>();

  const idle = () => {};
  /** The vault is this page's memory. */
  let lost = false;
  /** Counts sign-ins and sign-outs that this page knows of: an answer to a question from before is dropped. */
  let epoch = 0;
  let rec: Rec | undefined;

  const keep = (next: Rec, pair?: Pair) => {
    rec = next;
    // Without its token, a record must not outlive the page.
    tabs.set("", next, lost && next.in);
    tabs.tell({ rec: next, pair });
  };
  /** What another tab says. */
  const heard = ({ rec: told, pair, event, g }: { rec?: Rec; pair?: Pair; event?: Event; g?: string }) => {
    if (signal.aborted) return;
    if (told?.g) {
      const news = told.g != rec?.g || told.in != (state.who == "in");
      rec = told;
      if (pair) {
        lost = true;
        renewal().then(({ vault }) => vault(() => pair), idle);
      }
      if (lost) tabs.set("", told, told.in);
      if (!news) return render();
      epoch++;
      dispatch({ type: told.in ? "in" : "out", reason: told.why });
      arm(true);
    } else if (event && (event.type == "ping" || g == rec?.g)) {
      dispatch(event);
      if (event.type != "ping") arm(true);
    }
  };
  const tabs = openTabs(name, env, signal, (news) => heard(news));
  const readRec = () => {
    const found = tabs.get("");
    if (found?.g) rec = found;
  };
  readRec();
  const byCookie = () => mode == "cookie" || (!mode && !rec?.token);

  let state = start(
    rec?.in ? "in" : byCookie() && !tabs.get(":logout") ? "asking" : "out",
    rec ? (rec.in ? "restored" : rec.why) : "starting",
  );
  let snapshot: Snapshot | undefined;
  const render = () => {
    const next: Snapshot = {
      status: status(state),
      reason: state.reason,
      since: env.wall(),
      storage: tabs.shared() && !lost ? "shared" : "memory",
    };
    if (state.who == "in") {
      if (rec?.sid) next.session = rec.sid;
      if (rec?.user) next.user = rec.user;
    }
    if (snapshot?.status == next.status) next.since = snapshot.since;
    if (JSON.stringify(next) == JSON.stringify(snapshot)) return;
    snapshot = next;
    for (const listener of [...listeners])
      try {
        listener();
      } catch (error) {
        console.error(error);
      }
  };
  render();
  const dispatch = (event: Event) => {
    const was = state.who;
    state = reduce(state, event, env.mono(), !!pingAt);
    if (was == "in" && state.who == "out" && rec?.in) {
      dropPair(rec.g);
      keep({ g: env.name(), in: false, why: state.reason, sf: rec.sf });
    }
    render();
  };
  const dropPair = (g: string) => {
    if (rotating) renewal().then(({ drop }) => drop(g)).catch(idle);
  };
  /** A part that is loaded by those who need it; what the network refuses is asked for again. */
  const part = <T>(load: () => Promise<T>) => {
    let loading: Promise<T> | undefined;
    return () =>
      (loading ||= load().catch((error) => {
        loading = undefined;
        throw error;
      }));
  };
  const renewal = part(async () =>
    (await import("./renew.js")).openRenewal({
      env,
      name,
      rotating,
      byCookie,
      token,
      claim: tabs.claim,
      judge: (bearer, body) => judge(refreshAt, bearer, body),
      lost: () => (lost = true),
      keep: (change, pair) => keep({ ...rec!, ...change }, pair),
      forgetful: () => lost,
    }),
  );
  const refresh = async (used: string | undefined) => (await renewal()).refresh(used);

  /** The credential; it rejects if it cannot be read now. */
  const token = async (): Promise<string | undefined> => {
    readRec();
    if (!rec?.in || byCookie()) return;
    if (!rotating || rec.token) return rec.token;
    const pair = await (await renewal()).vault();
    // Another tab is between its vault and its record.
    if (pair && pair.g != rec.g) throw 0;
    return pair?.token;
  };

  const headersFor = (bearer: string | undefined) => {
    const nonce = home || rec?.sf ? env.name() : null;
    const headers: Record<string, string> = {};
    if (nonce) headers["Steadfast-Nonce"] = nonce;
    if (bearer) headers["Authorization"] = "Bearer " + bearer;
    return { nonce, headers };
  };

  /** One exchange with an address of ours, within `timeout`. */
  const exchange = async (url: string, bearer?: string, body?: unknown, post = !!body, bare = false) => {
    const { nonce, headers } = headersFor(bearer);
    // Nobody did anything: a page that is only open keeps no session from ending. A gateway alone reads it.
    if (nonce) headers["Steadfast-Passive"] = "1";
    if (body) headers["Content-Type"] = "application/json";
    const stop = new AbortController();
    let cancel!: () => void;
    const late = new Promise<Exchange>((done) => {
      cancel = env.after(timeout, () => {
        done(none("timeout"));
        stop.abort();
      });
    });
    const asking = async () => {
      try {
        return await read(
          await env.fetch(url, {
            method: post ? "POST" : "GET",
            headers,
            body: body ? JSON.stringify(body) : null,
            credentials: bare || !byCookie() ? "omit" : "include",
            redirect: "manual",
            cache: "no-store",
            signal: stop.signal,
          }),
        );
      } catch {
        return none("network");
      }
    };
    const answer = await Promise.race([late, asking()]);
    cancel();
    return { answer, nonce };
  };

  const asked = (sent: string | null, bearer?: string): Asked => {
    const cookie = byCookie();
    const third = cookie && !home;
    return {
      sent,
      steadfast: !!rec?.sf,
      mine: rec?.sid || null,
      credential: cookie ? !third || !!rec?.ok : !!bearer,
      third,
      again: !!state.strong,
      forbidden: options.forbidden == "denied",
    };
  };

  /** Asks `url` and decides. */
  const judge = async (url: string, bearer: string | undefined, body?: unknown) => {
    const era = epoch;
    const g = rec?.g;
    const { answer, nonce } = await exchange(url, bearer, body);
    readRec();
    let { verdict, row } = decide(answer, asked(nonce, bearer));
    // Somebody has signed in or out meanwhile: this answer is about what was.
    if (signal.aborted || era != epoch || g != rec?.g) verdict = "other";
    const reason = row == "no-answer" ? answer.lost : row == "http" ? "http-" + answer.status : row;
    return { answer, verdict, reason, settle: () => settle(verdict, reason, answer) };
  };

  const troubleOf = ({ lost, status }: Answer): Trouble =>
    lost == "network" && !env.online() ? "offline" : status > 501 && status < 505 ? "waking" : "reconnecting";

  /** Tells this page and the other tabs. */
  const settle = (verdict: Verdict, reason: string, answer: Answer) => {
    if (verdict == "valid") {
      const { json, nonce, session } = answer;
      const next: Rec = {
        ...(rec?.in ? rec : { g: env.name(), in: true }),
        why: reason,
        ok: true,
        sf: !!nonce || json.source == "gateway" || !!rec?.sf,
        sid: session || rec?.sid,
        user: json.user ?? rec?.user,
      };
      if (JSON.stringify(next) != JSON.stringify(rec)) keep(next);
      // The network is there: what a call will need in a restart is fetched now.
      calls().catch(idle);
    }
    const event: Event = { type: "verdict", verdict, reason, trouble: troubleOf(answer) };
    dispatch(event);
    if (verdict == "valid" || verdict == "unknown") tabs.tell({ event, g: rec?.g });
  };

  let verifying: Promise<Snapshot> | undefined;
  const verify = (): Promise<Snapshot> =>
    (verifying ||= cycle()
      .catch(() => settle("unknown", "storage", none("")))
      .then(() => {
        verifying = undefined;
        arm();
        return snapshot!;
      }));
  let retry = 0;
  const wait = () => pause(state, verifyEvery, backoff, retry, env.random());
  /** Ends the pause between two tries: something has changed. */
  let nudge = idle;
  const cycle = async () => {
    if (signal.aborted || (!(await sendLogout()) && state.who == "out")) return;
    let refreshed = rotating;
    if (rotating) await token().then(refresh);
    // One more for the second of two strong verdicts, one for a refresh.
    for (let tries = attempts, turns = attempts + 2; tries > 0 && turns-- > 0; ) {
      if (signal.aborted || (state.who == "out" && !byCookie())) return;
      tabs.set(":verify", env.wall());
      const bearer = await token();
      if (!bearer && !byCookie()) {
        // The record says that somebody is signed in, and their token is gone for good.
        return dispatch({ type: "out", reason: "no-credential" });
      }
      const { answer, verdict, settle } = await judge(verifyAt, bearer);
      if (verdict == "other") return soon();
      settle();
      retry = answer.retry || 0;
      if (verdict == "valid" || state.who == "out") return;
      if (verdict == "unknown") {
        if (!--tries || retry > PATIENCE_MS) return;
        await new Promise<void>((done) => {
          nudge = done;
          env.after(wait(), done);
        });
      } else {
        const better = refreshAt && !refreshed && (await refresh(bearer));
        refreshed = true;
        if (verdict == "weak" && !better) return ping();
      }
    }
  };

  const ping = async () => {
    if (!pingAt) return;
    const begun = env.mono();
    const { answer, nonce } = await exchange(pingAt, undefined, undefined, false, true);
    if (signal.aborted) return;
    const { lost, html, status, json } = answer;
    // Any body will do but a page for people.
    const ok = decide({ ...answer, json: !html && (json || true) }, asked(nonce)).verdict == "valid";
    env.log("[steadfast] ping " + (ok ? `ok ${Math.round(env.mono() - begun)} ms` : "failed " + (lost || (html ? "html" : status))));
    const event: Event = { type: "ping", ok };
    dispatch(event);
    tabs.tell({ event });
    if (ok ? state.tries : state.who == "in") soon();
  };

  const calls = part(async () =>
    (await import("./fetch.js")).makeFetch({
      env,
      origin,
      deadline,
      backoff,
      byCookie,
      token,
      headersFor,
      asked,
      g: () => rec?.g,
      refresh: refreshAt ? refresh : undefined,
      verify,
      soon,
    }),
  );

  // Timers. Hidden pages have none; one that fires asks first whether another tab has done it.
  let pingTimer = idle;
  let verifyTimer = idle;
  let soonTimer = idle;
  const hidden = () => env.page?.document?.visibilityState == "hidden";
  /** Somebody else's claim is waited for with some delay, so that who did it last does it next. */
  const behind = (rest: number) => rest + Math.min(rest / 10, 2_000) * (0.1 + env.random());
  const armPing = (rest: number) => {
    pingTimer();
    if (!pingAt || signal.aborted) return;
    const due = env.wall() + rest;
    pingTimer = env.after(rest, () => {
      if (hidden()) return;
      if (env.wall() - due > SLEPT_MS) soon();
      const left = tabs.claim("ping", pingEvery);
      if (!left) void ping();
      armPing(left ? behind(left) : pingEvery);
    });
  };
  const arm = (follow?: boolean) => {
    verifyTimer();
    const pending = tabs.get(":logout");
    if (signal.aborted || (state.who == "out" && !pending)) return;
    const rest = pending ? pingEvery || 30_000 : wait();
    const fire = (ms: number) => {
      verifyTimer = env.after(ms, () => {
        if (hidden()) return;
        const left = state.weakAt ? 0 : tabs.claim("verify", rest);
        if (left) fire(behind(left));
        else void verify();
      });
    };
    fire(follow ? behind(rest) : rest);
  };
  const soon = (ms = SOON_MS * env.random()) => {
    soonTimer();
    if (signal.aborted || hidden()) return;
    soonTimer = env.after(ms, () => {
      const left = tabs.claim("verify", 2 * SOON_MS);
      nudge();
      if (!left) void verify();
      else if (state.tries) soon(left);
    });
  };
  const awake = () => {
    if (hidden()) return;
    tabs.open();
    const known = tabs.get("");
    if (known) heard({ rec: known });
    armPing(0);
    arm();
    soon();
  };

  /** A sign-out that could not be told is told first on return. True: nothing is left to tell. */
  const sendLogout = async (): Promise<boolean> => {
    const pending = tabs.get(":logout");
    if (!pending) return true;
    const { answer, nonce } = await exchange(address("logout"), pending.token, undefined, true);
    const { lost, html, status } = answer;
    const told = !lost && !html && (status < 300 || status == 401 || status == 404) && (!rec?.sf || answer.nonce == nonce);
    if (told) tabs.set(":logout", null);
    return told;
  };

  const on = (target: EventTarget | undefined, type: string, act: (event: any) => void) =>
    target?.addEventListener(type, act, { signal });
  on(env.page?.document, "visibilitychange", awake);
  on(env.page, "online", awake);
  on(env.page, "offline", () => {
    settle("unknown", "network", none("network"));
    soon();
  });
  on(env.page, "pagehide", tabs.close);
  on(env.page, "pageshow", ({ persisted }) => persisted && awake());
  armPing(0);
  if (!hidden() && (state.who != "out" || tabs.get(":logout"))) void verify();

  return {
    async signIn(given) {
      let bearer: string | undefined;
      let answer: Partial<Exchange> = {};
      if (given && typeof given == "object") {
        const body = own ? { mode: mode || "cookie", ...given } : given;
        ({ answer } = await exchange(address("login"), undefined, body));
        const { lost, status, json } = answer as Exchange;
        if (lost || status > 299 || !json) {
          const reason = lost || (status == 401 ? "refused" : "http-" + status);
          // Whoever is signed in stays so.
          if (state.who != "in") dispatch({ type: "out", reason });
          return { ...snapshot!, reason };
        }
        if (mode != "cookie") bearer = json.token ?? json.access_token;
      } else bearer = given;
      const g = env.name();
      epoch++;
      let pair: Pair | undefined;
      if (rotating && bearer)
        try {
          pair = await (await renewal()).bind(g, bearer);
        } catch {
          // No crypto without https: the token is used as it is, and never replaced.
        }
      // A cookie that was to be signed out is replaced by the new one.
      if (!tabs.get(":logout")?.token) tabs.set(":logout", null);
      const { session, json } = answer;
      keep(
        {
          g,
          in: true,
          why: "sign-in",
          token: pair ? undefined : bearer,
          sid: session || (own && json?.session) || (rotating ? bearer?.split(".")[3] : undefined),
          user: json?.user,
          sf: rec?.sf,
        },
        lost ? pair : undefined,
      );
      dispatch({ type: "in", reason: "sign-in" });
      await verifying;
      return verify();
    },
    async signOut() {
      const bearer = await token().catch(() => undefined);
      epoch++;
      if (address("logout") && (bearer || byCookie())) tabs.set(":logout", bearer ? { token: bearer } : {});
      dropPair(rec?.g || "");
      keep({ g: env.name(), in: false, why: "sign-out", sf: rec?.sf });
      dispatch({ type: "out", reason: "sign-out" });
      await sendLogout();
      arm();
      return snapshot!;
    },
    verify,
    fetch: async (input, init) => (await calls())(input, init),
    subscribe(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    getSnapshot: () => snapshot!,
    close() {
      shut.abort();
      pingTimer();
      verifyTimer();
      soonTimer();
      tabs.close();
      listeners.clear();
    },
  };
};
