/**
 * Who is signed in, as far as this page knows: a pure reducer. Time comes in as an argument (a monotonic one: the
 * browser's clock never decides), effects go out as the two questions `status` and `pause`.
 *
 * ```text
 *             valid                      strong twice, weak twice (10 s apart, healthy, calm), sign-out
 *  asking ──────────────▶ in ───────────────────────────────────────────────────────────▶ out
 *     │                   ▲ unknown: stays, with trouble                                    │
 *     └── denied ──▶ out  └───────────────────── valid, sign-in ────────────────────────────┘
 * ```
 * *Asking* is a page with a cookie whose answer nobody knows yet; it has nothing to lose, so the first plain denial
 * is believed.
 */
import type { Verdict } from "./decide.js";

/** What people are shown. */
export type Status = "signed-in" | "signed-out" | "reconnecting" | "waking" | "offline";
export type Trouble = "" | "reconnecting" | "waking" | "offline";

/** Two weak verdicts are so far apart: a restart or a deploy is over by then. */
export const WEAK_MS = 10_000;
/** No unknown verdict within this time before the second: whoever fumbles is not believed. */
export const CALM_MS = 60_000;

export interface State {
  who: "in" | "out" | "asking";
  trouble: Trouble;
  reason: string;
  /** Strong verdicts in a row. */
  strong: number;
  /** Unknown verdicts in a row. */
  tries: number;
  /** When the first weak verdict came; 0: none. */
  weakAt: number;
  /** A ping was answered since. */
  healthy: boolean;
  /** The last unknown verdict or failed ping. */
  unknownAt: number;
}

export type Event =
  | { type: "in" | "out"; reason: string }
  | { type: "ping"; ok: boolean }
  | { type: "verdict"; verdict: Verdict; reason: string; trouble: Trouble };

export const start = (who: State["who"], reason: string): State => ({
  who,
  reason,
  trouble: "",
  strong: 0,
  tries: 0,
  weakAt: 0,
  healthy: false,
  unknownAt: -CALM_MS,
});

/** `now` is monotonic, above 0. Without an address to ping, health cannot be asked for and counts as given. */
export const reduce = (state: State, event: Event, now: number, pings: boolean): State => {
  if (event.type == "ping") {
    return event.ok ? { ...state, healthy: true } : { ...state, unknownAt: now };
  }
  if (event.type != "verdict") return start(event.type, event.reason);
  const { verdict, reason, trouble } = event;
  if (verdict == "valid") return { ...start("in", reason), unknownAt: state.unknownAt };
  if (state.who == "out" || verdict == "other") return state;
  const out = start("out", reason);
  // Nobody was known to be signed in: there is nothing that a false denial could take away.
  if (state.who == "asking" && (verdict != "unknown" || reason == "no-cookie")) return out;
  const next = { ...state, reason, trouble };
  if (verdict == "unknown") return { ...next, strong: 0, tries: state.tries + 1, unknownAt: now };
  if (verdict == "strong") return state.strong ? out : { ...next, strong: 1 };
  next.tries = 0;
  if (!state.weakAt) return { ...next, weakAt: now, healthy: !pings };
  const calm = state.healthy && now - state.weakAt >= WEAK_MS && now - state.unknownAt >= CALM_MS;
  return calm ? out : next;
};

export const status = ({ who, trouble }: State): Status =>
  who == "out" ? "signed-out" : trouble || (who == "in" ? "signed-in" : "reconnecting");

/** How long until the next verification. `random` in [0, 1): full jitter. */
export const pause = (state: State, every: number, base: number, retry: number, random: number): number => {
  if (state.tries) return Math.max(retry, 50) + Math.min(every, base * 2 ** Math.min(state.tries, 5)) * random;
  return state.weakAt ? WEAK_MS + 500 * random : state.strong ? 0 : every;
};
