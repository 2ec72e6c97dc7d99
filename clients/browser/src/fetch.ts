/**
 * `session.fetch`: like `fetch`, with the credential, through a restart.
 *
 * | what comes back | repeated |
 * |---|---|
 * | network error | GET, HEAD, OPTIONS, calls with `Idempotency-Key`, PUT and DELETE without `If-*` |
 * | 503 with Retry-After | the same; any call if it is the gateway's word: it has handed nothing over |
 * | 401 about the credential | once, if there is another credential now; the repeatable ones also if `verify` says valid |
 * | anything else | never |
 *
 * A body that is a stream goes out once.
 */
import { decide } from "./decide.js";
import type { Env } from "./env.js";
import type { Snapshot } from "./types.js";
import { read, retryAfter } from "./answer.js";

export interface Inside {
  env: Env;
  origin: string;
  deadline: number;
  backoff: number;
  byCookie: () => boolean;
  token: () => Promise<string | undefined>;
  headersFor: (bearer: string | undefined) => { nonce: string | null; headers: Record<string, string> };
  asked: (nonce: string | null, bearer: string | undefined) => Parameters<typeof decide>[1];
  /** Names the sign-in. */
  g: () => string | undefined;
  refresh: ((used: string | undefined) => Promise<boolean>) | undefined;
  verify: () => Promise<Snapshot>;
  soon: () => void;
}

export const makeFetch = ({ env, origin, deadline, backoff, ...it }: Inside) =>
  async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const base = new Request(typeof input == "string" ? new URL(input, env.base) : input, init);
    if (new URL(base.url).origin != origin) return env.fetch(base);
    const { method, signal, headers } = base;
    const stream = init?.body instanceof ReadableStream;
    const foreign = headers.has("authorization");
    const conditional = [...headers.keys()].some((name) => name.startsWith("if-"));
    const repeatable = !stream && (/^(GET|HEAD|OPTIONS)$/.test(method) || headers.has("idempotency-key") || (/^(PUT|DELETE)$/.test(method) && !conditional));
    const end = env.mono() + deadline;
    let tries = 0;
    /** Waits, if there is time for it. */
    const wait = (least: number) => {
      it.soon();
      const ms = least + backoff * 2 ** Math.min(tries++, 3) * env.random();
      return env.mono() + ms < end && new Promise<boolean>((done, fail) => {
        const abort = () => (cancel(), fail(signal.reason));
        const cancel = env.after(ms, () => (signal.removeEventListener("abort", abort), done(true)));
        signal.aborted ? abort() : signal.addEventListener("abort", abort);
      });
    };
    for (let refreshed = foreign || stream; ; ) {
      const bearer = foreign ? undefined : await it.token().catch(() => undefined);
      const g = it.g();
      const { nonce, headers: ours } = it.headersFor(bearer);
      const merged = new Headers(headers);
      for (const name in ours) if (!merged.has(name)) merged.set(name, ours[name]!);
      let response: Response;
      try {
        response = await env.fetch(new Request(stream ? base : base.clone(), { headers: merged, credentials: it.byCookie() ? "include" : "omit" }));
      } catch (error) {
        if (signal.aborted || !repeatable || !(await wait(0))) throw error;
        continue;
      }
      const { status } = response;
      if (status == 503 && response.headers.has("retry-after")) {
        const gate = nonce && response.headers.get("steadfast-nonce") == nonce && response.headers.get("steadfast-source") == "gateway";
        if (!stream && (repeatable || gate) && (await wait(retryAfter(response.headers)))) {
          void response.body?.cancel();
          continue;
        }
      }
      if (status > 500) it.soon();
      if (status == 401 && !refreshed) {
        refreshed = true;
        const { verdict } = decide(await read(response.clone()), it.asked(nonce, bearer));
        if (verdict != "unknown") {
          const better = it.refresh && (await it.refresh(bearer));
          // A denial that `verify` does not share was somebody's fumble; a new sign-in has its own credential.
          const { status } = better ? { status: "" } : await it.verify();
          if (better || it.g() != g || (await it.token().catch(() => bearer)) != bearer || (repeatable && status == "signed-in")) {
            void response.body?.cancel();
            continue;
          }
        }
      }
      return response;
    }
  };
