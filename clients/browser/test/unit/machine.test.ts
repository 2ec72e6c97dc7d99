import { expect, test } from "vitest";
import { CALM_MS, pause, reduce, start, status, WEAK_MS, type Event, type State } from "../../src/machine.js";

const verdict = (verdict: any, trouble: any = "reconnecting"): Event => ({ type: "verdict", verdict, reason: String(verdict), trouble });
const weak = verdict("weak");
const health: Event = { type: "ping", ok: true };

/** Plays [time, event] pairs, in seconds. */
const play = (from: State, pings: boolean, ...events: [number, Event][]): State =>
  events.reduce((state, [at, event]) => reduce(state, event, 100_000 + at * 1000, pings), from);
const signedIn = start("in", "verified");

test("unknown never signs out, however often", () => {
  const state = play(signedIn, true, ...Array.from({ length: 1000 }, (_, at): [number, Event] => [at, verdict("unknown")]));
  expect(status(state)).toBe("reconnecting");
  expect(state.who).toBe("in");
  expect(status(play(signedIn, true, [0, verdict("unknown", "waking")]))).toBe("waking");
  expect(status(play(signedIn, true, [0, verdict("unknown", "offline")]))).toBe("offline");
});

test("two strong verdicts in a row sign out, an unknown one between starts afresh", () => {
  expect(status(play(signedIn, true, [0, verdict("strong")], [0.1, verdict("strong")]))).toBe("signed-out");
  expect(play(signedIn, true, [0, verdict("strong")], [1, verdict("unknown")], [2, verdict("strong")]).who).toBe("in");
  expect(play(signedIn, true, [0, verdict("strong")], [1, verdict("valid")], [2, verdict("strong")]).who).toBe("in");
});

test.each<[string, string, boolean, [number, Event][]]>([
  ["ten seconds apart, health between", "out", true, [[0, weak], [1, health], [10, weak]]],
  ["too soon", "in", true, [[0, weak], [1, health], [9.9, weak]]],
  ["no health between", "in", true, [[0, weak], [10, weak]]],
  ["health before only", "in", true, [[-1, health], [0, weak], [10, weak]]],
  ["nothing to ping", "out", false, [[0, weak], [10, weak]]],
  ["a failed ping within the last minute", "in", true, [[0, weak], [1, health], [5, { type: "ping", ok: false }], [20, weak]]],
  ["an unknown verdict within the last minute", "in", true, [[-30, verdict("unknown")], [0, weak], [1, health], [10, weak]]],
  ["and once that minute is over", "out", true, [[-30, verdict("unknown")], [0, weak], [1, health], [10, weak], [31, weak]]],
  ["a valid verdict between", "in", true, [[0, weak], [1, health], [5, verdict("valid")], [10, weak]]],
  ["verdicts about another session", "in", true, [[0, verdict("other")], [1, health], [20, verdict("other")]]],
])("weak twice: %s", (_, who, pings, events) => {
  expect(play(signedIn, pings, ...events).who).toBe(who);
  expect([WEAK_MS, CALM_MS]).toEqual([10_000, 60_000]);
});

test("nobody known to be signed in: the first denial is believed, an unknown verdict is not", () => {
  const asking = start("asking", "starting");
  expect(status(asking)).toBe("reconnecting");
  expect(play(asking, true, [0, weak]).who).toBe("out");
  expect(play(asking, true, [0, verdict("unknown")]).who).toBe("asking");
  expect(play(asking, true, [0, verdict("valid")]).who).toBe("in");
});

test("signed out stays so until somebody is signed in", () => {
  const out = start("out", "sign-out");
  for (const it of ["weak", "strong", "unknown", "other"]) expect(play(out, true, [0, verdict(it)])).toBe(out);
  expect(play(out, true, [0, { type: "in", reason: "sign-in" }]).who).toBe("in");
});

test("pauses grow, have full jitter, honour Retry-After and end at verifyEvery", () => {
  const tried = (tries: number): State => ({ ...signedIn, tries });
  expect([1, 2, 3, 9].map((n) => pause(tried(n), 300_000, 500, 0, 0.999999)).map(Math.round)).toEqual([1050, 2050, 4050, 16050]);
  expect(pause(tried(1), 300_000, 500, 0, 0)).toBe(50);
  expect(pause(tried(1), 300_000, 500, 7_000, 0)).toBe(7_000);
  expect(pause(signedIn, 300_000, 500, 0, 0.5)).toBe(300_000);
});
