import { afterEach, expect, test, vi } from "vitest";
import { faults } from "../backend.js";
import { FOREIGN, World } from "../world.js";

let world: World;
const fresh = () => (world = new World());
afterEach(() => {
  for (const tab of world.tabs) tab.session.close();
  vi.restoreAllMocks();
});
const bearer = async () => {
  fresh();
  const { token, sid } = world.backend.open("ada", "bearer");
  const tab = world.tab({ mode: "bearer" });
  void tab.session.signIn(token);
  await world.run(100);
  expect(tab.snapshot).toMatchObject({ status: "signed-in", reason: "verified", session: sid, user: "ada", storage: "shared" });
  return { tab, token, sid };
};
const foreign = async (plain = true) => {
  fresh();
  world.backend.plain = plain;
  const { token, sid } = world.backend.open("ada", "bearer");
  const tab = world.tab(FOREIGN);
  void tab.session.signIn(token);
  await world.run(100);
  expect(tab.status).toBe("signed-in");
  return { tab, token, sid };
};

test("no settings: Steadfast's addresses, a cookie, the product's numbers", async () => {
  fresh();
  const tab = world.tab();
  await world.run(50);
  expect(tab.snapshot).toMatchObject({ status: "signed-out", storage: "shared" });
  void tab.session.signIn({ username: "ada", password: "right" });
  await world.run(50);
  expect(tab.snapshot).toMatchObject({ status: "signed-in", user: "ada" });
  const before = { pings: world.backend.count("GET /_steadfast/ping"), verifications: world.backend.count("GET /_steadfast/verify") };
  await world.run(600_000);
  expect(world.backend.count("GET /_steadfast/ping") - before.pings).toBe(20);
  expect(world.backend.count("GET /_steadfast/verify") - before.verifications).toBe(2);
  expect(world.log.at(-1)).toMatch(/^\[steadfast\] ping ok \d+ ms$/);
});

test("a wrong password: signed out, refused", async () => {
  fresh();
  const tab = world.tab();
  await world.run(50);
  void tab.session.signIn({ username: "ada", password: "wrong" });
  await world.run(50);
  expect(tab.snapshot).toMatchObject({ status: "signed-out", reason: "refused" });
});

test("a bearer token lives in storage, and the next page goes on with it", async () => {
  const { sid } = await bearer();
  const next = world.tab({ mode: "bearer" });
  expect(next.snapshot).toMatchObject({ status: "signed-in", reason: "restored", session: sid });
});

test("bearer: no cookies go along, and the token goes to the origin of verify only", async () => {
  const { tab, token } = await bearer();
  world.cookies.set("sid", "something");
  const there: Request[] = [];
  world.backend.program = (request) => (there.push(request), new Response("{}"));
  await tab.session.fetch("/api/x");
  await tab.session.fetch("https://elsewhere.example/api/x");
  expect(there.map((it) => [it.headers.get("authorization"), it.headers.get("cookie")])).toEqual([
    ["Bearer " + token, null],
    [null, "sid=something"],
  ]);
  expect(there[1]!.headers.get("steadfast-nonce")).toBeNull();
});

test("cross-origin: no header of ours until the backend has answered as Steadfast", async () => {
  fresh();
  const { token } = world.backend.open("ada", "bearer");
  const tab = world.tab({ verify: "https://api.example/_steadfast/verify", mode: "bearer" });
  void tab.session.signIn(token);
  await world.run(100);
  void tab.session.verify();
  await world.run(100);
  const verifications = world.backend.requests.filter((it) => it.url.endsWith("/verify"));
  for (const name of ["steadfast-nonce", "steadfast-passive"]) expect(verifications.map((it) => it.headers.has(name))).toEqual([false, true]);
});

test("cross-origin, an ordinary backend: never a header that forces a preflight but the token", async () => {
  fresh();
  world.backend.plain = true;
  const { token } = world.backend.open("ada", "bearer");
  const tab = world.tab({ ...FOREIGN, verify: "https://api.example/api/auth/verify", ping: "https://api.example/api/health" });
  void tab.session.signIn(token);
  await world.run(700_000);
  await tab.session.fetch("https://api.example/api/x");
  const names = new Set(world.backend.requests.flatMap((it) => [...it.headers.keys()]));
  expect([...names]).toEqual(["authorization"]);
});

test("a page that is only open says so: pings, verifications and refreshes are passive, calls of the app are not", async () => {
  fresh();
  const { token } = world.backend.open("ada", "cookie");
  world.cookies.set("sid", token);
  // Addresses of the program: nothing in them tells the gateway what they are for.
  const page = { verify: "/api/auth/verify", ping: "/api/health", refresh: "/api/auth/refresh", mode: "cookie" } as const;
  const tab = world.tab(page);
  await world.run(700_000);
  await tab.session.fetch("/api/orders");
  world.backend.program = faults.denying;
  void tab.session.verify();
  await world.run(2_000);
  const said = new Map<string, Set<string | null>>();
  for (const { url, headers } of world.backend.requests) {
    const path = new URL(url).pathname;
    said.set(path, (said.get(path) ?? new Set()).add(headers.get("steadfast-passive")));
  }
  const passive = new Set(["1"]);
  expect(Object.fromEntries(said)).toEqual({
    "/api/auth/verify": passive,
    "/api/health": passive,
    "/api/auth/refresh": passive,
    "/api/orders": new Set([null]),
  });
});

test("unknown answers keep signed in, and status says what is going on", async () => {
  const { tab } = await bearer();
  for (const [fault, status] of [
    ["cut", "reconnecting"], ["hang", "reconnecting"], ["portal", "reconnecting"], ["starting", "waking"], ["broken", "reconnecting"],
    ["denying", "reconnecting"], ["malformed", "reconnecting"],
  ] as const) {
    world.backend.fault = faults[fault];
    void tab.session.verify();
    await world.run(120_000);
    expect([fault, tab.status]).toEqual([fault, status]);
    world.backend.fault = undefined;
    await world.run(60_000);
    expect([fault, tab.status]).toEqual([fault, "signed-in"]);
  }
  world.online = false;
  world.backend.fault = faults.cut;
  tab.fire("offline");
  await world.run(2_000);
  expect(tab.status).toBe("offline");
  world.online = true;
  world.backend.fault = undefined;
  tab.fire("online");
  await world.run(2_000);
  expect(tab.status).toBe("signed-in");
  expect(tab.shown).not.toContain("signed-out");
});

test("three attempts, with back-off, and Retry-After honoured", async () => {
  const { tab } = await bearer();
  world.backend.seen.length = 0;
  let answered = 0;
  world.backend.fault = (request, pass) => (request.url.endsWith("/verify") && ++answered <= 2 ? faults.starting() : pass());
  const from = world.now;
  let took = 0;
  void tab.session.verify().then((snapshot) => {
    took = world.now - from;
    expect(snapshot.status).toBe("signed-in");
  });
  await world.run(20_000);
  expect(world.backend.count("GET /_steadfast/verify")).toBe(3);
  // Twice Retry-After: 1, and the jitter.
  expect(took).toBeGreaterThanOrEqual(2_000);
});

test("revoked: the tab that learns it is signed out at once, the others with it", async () => {
  const { tab, sid } = await bearer();
  const other = world.tab({ mode: "bearer" });
  await world.run(100);
  world.backend.end(sid);
  void tab.session.verify();
  await world.settle();
  expect(tab.snapshot).toMatchObject({ status: "signed-out", reason: "ended" });
  expect(other.status).toBe("signed-out");
});

test("revoked, with a cookie: the gateway takes it away with the first denial, and the second counts", async () => {
  fresh();
  const tab = world.tab();
  void tab.session.signIn({ username: "ada", password: "right" });
  await world.run(50);
  world.backend.end(tab.snapshot.session!);
  void tab.session.verify();
  await world.settle();
  expect(tab.snapshot).toMatchObject({ status: "signed-out", reason: "ended" });
  expect(world.cookies.size).toBe(0);
});

test("FastAPI's 401 signs out by the weak rule only: twice, ten seconds apart, healthy between", async () => {
  const { tab, sid } = await foreign();
  world.backend.end(sid);
  void tab.session.verify();
  await world.run(9_000);
  expect(tab.snapshot).toMatchObject({ status: "reconnecting", reason: "denied" });
  await world.run(3_000);
  expect(tab.snapshot).toMatchObject({ status: "signed-out", reason: "denied" });
});

test("FastAPI's 401 during trouble is not believed until it has been calm for a minute", async () => {
  const { tab, sid } = await foreign();
  world.backend.fault = faults.cut;
  void tab.session.verify();
  await world.run(3_000);
  world.backend.fault = undefined;
  world.backend.end(sid);
  await world.run(40_000);
  expect(tab.status).toBe("reconnecting");
  await world.run(60_000);
  expect(tab.status).toBe("signed-out");
});

test("an intermediary's 401 for a while does not sign out of an ordinary backend either", async () => {
  const { tab } = await foreign();
  world.backend.fault = (request, pass) => (request.url.endsWith("/verify") ? faults.denying() : pass());
  void tab.session.verify();
  await world.run(8_000);
  world.backend.fault = undefined;
  await world.run(60_000);
  expect(tab.shown).not.toContain("signed-out");
  expect(tab.status).toBe("signed-in");
});

test("a late 401 about the session before does not end a new sign-in", async () => {
  const { tab, sid } = await bearer();
  let release!: () => void;
  world.backend.end(sid);
  world.backend.fault = async (_, pass) => {
    const answer = pass();
    await new Promise<void>((done) => (release = done));
    return answer;
  };
  void tab.session.verify();
  await world.settle();
  world.backend.fault = undefined;
  const late = release;
  const { token, sid: second } = world.backend.open("ada", "bearer");
  void tab.session.signIn(token);
  late();
  await world.run(20_000);
  expect(tab.shown).not.toContain("signed-out");
  expect(tab.snapshot).toMatchObject({ status: "signed-in", session: second });
});

test("sign-in and sign-out reach every tab at once", async () => {
  const { tab } = await bearer();
  const others = [1, 2, 3].map(() => world.tab({ mode: "bearer" }));
  await world.run(100);
  void tab.session.signOut();
  await world.settle();
  expect(others.map((it) => it.status)).toEqual(["signed-out", "signed-out", "signed-out"]);
  expect(world.backend.count("POST /_steadfast/logout")).toBe(1);
  const { token } = world.backend.open("bob", "bearer");
  void others[0]!.session.signIn(token);
  await world.settle();
  expect([tab, ...others].map((it) => it.status)).toEqual(Array(4).fill("signed-in"));
});

test("a sign-out without network is told first on return", async () => {
  const { tab } = await bearer();
  world.backend.fault = faults.cut;
  void tab.session.signOut();
  await world.run(1_000);
  expect(tab.status).toBe("signed-out");
  world.backend.fault = undefined;
  tab.session.close();
  world.backend.seen.length = 0;
  const next = world.tab({ mode: "bearer" });
  await world.run(1_000);
  expect(next.status).toBe("signed-out");
  expect(world.backend.seen.filter((it) => !it.endsWith("ping"))).toEqual(["POST /_steadfast/logout"]);
});

test("a cookie that could not be signed out does not sign in again", async () => {
  fresh();
  const tab = world.tab();
  void tab.session.signIn({ username: "ada", password: "right" });
  await world.run(100);
  world.backend.fault = faults.cut;
  void tab.session.signOut();
  await world.run(100);
  tab.session.close();
  const next = world.tab();
  await world.run(5_000);
  expect(next.shown).not.toContain("signed-in");
  world.backend.fault = undefined;
  await world.run(60_000);
  expect(world.backend.seen.at(-1)).not.toBe("GET /_steadfast/verify");
  expect(next.status).toBe("signed-out");
  expect(world.cookies.has("sid")).toBe(false);
});

test("hidden tabs pause; visible again, they verify soon", async () => {
  const { tab } = await bearer();
  tab.hide();
  await world.run(40_000);
  world.backend.seen.length = 0;
  await world.run(3_600_000);
  expect(world.backend.seen).toEqual([]);
  tab.show();
  await world.run(1_100);
  expect(world.backend.seen.sort()).toEqual(["GET /_steadfast/ping", "GET /_steadfast/verify"]);
});

test("a tab that comes back while another one has just verified goes on by itself when that one is gone", async () => {
  const { tab } = await bearer();
  const back = world.tab({ mode: "bearer" });
  await world.run(1_000);
  back.hide();
  await world.run(700_000);
  await tab.session.verify();
  back.show();
  tab.session.close();
  await world.run(10_000);
  world.backend.seen.length = 0;
  await world.run(620_000);
  expect(world.backend.count("GET /_steadfast/verify")).toBeGreaterThanOrEqual(2);
});

test.each([["pageshow", { persisted: true }], ["online", {}]])("%s: verifies soon", async (type, more) => {
  const { tab } = await bearer();
  await world.run(5_000);
  world.backend.seen.length = 0;
  tab.fire(type, more);
  await world.run(1_100);
  expect(world.backend.count("GET /_steadfast/verify")).toBe(1);
});

test("online again right after a failed try, or in a long pause between two: verified within seconds", async () => {
  const { tab } = await bearer();
  for (const cut of [1_500, 20_000, 200_000]) {
    world.backend.fault = faults.cut;
    void tab.session.verify();
    await world.run(cut);
    expect(tab.status).toBe("reconnecting");
    world.backend.fault = undefined;
    tab.fire("online");
    await world.run(3_500);
    expect([cut, tab.status]).toEqual([cut, "signed-in"]);
  }
});

test("a page in the back/forward cache holds no channel, and opens one when it is back", async () => {
  const { tab } = await bearer();
  const other = world.tab({ mode: "bearer" });
  await world.run(100);
  tab.fire("pagehide");
  void other.session.signOut();
  await world.settle();
  tab.fire("pageshow", { persisted: true });
  expect(tab.status).toBe("signed-out");
  const { token } = world.backend.open("ada", "bearer");
  void other.session.signIn(token);
  await world.settle();
  expect(tab.status).toBe("signed-in");
});

test("a timer that is late has slept: verifies soon", async () => {
  await bearer();
  await world.run(29_000);
  world.backend.seen.length = 0;
  world.skew += 3_600_000;
  await world.run(3_000);
  expect(world.backend.count("GET /_steadfast/verify")).toBe(1);
});

test("10 tabs: one ping and one verification each time", async () => {
  await bearer();
  for (let n = 1; n < 10; n++) {
    await world.run(1_700);
    world.tab({ mode: "bearer" });
  }
  await world.run(60_000);
  world.backend.seen.length = 0;
  await world.run(600_000);
  expect(world.backend.count("GET /_steadfast/ping")).toBeLessThanOrEqual(22);
  expect(world.backend.count("GET /_steadfast/ping")).toBeGreaterThanOrEqual(18);
  expect(world.backend.count("GET /_steadfast/verify")).toBeLessThanOrEqual(3);
  expect(world.backend.count("GET /_steadfast/verify")).toBeGreaterThanOrEqual(2);
});

test("a clock that steps back by hours postpones nothing", async () => {
  await bearer();
  world.tab({ mode: "bearer" });
  await world.run(60_000);
  world.skew -= 5 * 3_600_000;
  world.backend.seen.length = 0;
  await world.run(310_000);
  expect(world.backend.count("GET /_steadfast/ping")).toBeGreaterThanOrEqual(9);
  expect(world.backend.count("GET /_steadfast/verify")).toBeGreaterThanOrEqual(1);
});

test("getSnapshot is the same object until something changes; subscribers hear of every change", async () => {
  const { tab } = await bearer();
  const before = tab.snapshot;
  const heard: string[] = [];
  const end = tab.session.subscribe(() => heard.push(tab.status));
  void tab.session.verify();
  await world.run(1_000);
  expect(tab.snapshot).toBe(before);
  world.backend.fault = faults.broken;
  void tab.session.verify();
  await world.run(1_000);
  expect(tab.snapshot).not.toBe(before);
  expect(heard).toEqual(["reconnecting"]);
  end();
  world.backend.fault = undefined;
  await world.run(60_000);
  expect(heard).toEqual(["reconnecting"]);
});

test("a listener that throws harms nobody", async () => {
  const { tab } = await bearer();
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  tab.session.subscribe(() => {
    throw new Error("the page's own mistake");
  });
  const after = vi.fn();
  tab.session.subscribe(after);
  await tab.session.signOut();
  expect(after).toHaveBeenCalled();
  expect(error).toHaveBeenCalled();
});

test("close: no timer, no request, no word any more", async () => {
  const { tab } = await bearer();
  tab.session.close();
  world.backend.seen.length = 0;
  await world.run(3_600_000);
  expect(world.backend.seen).toEqual([]);
});

test("on a server, without a window: nothing is thrown", async () => {
  fresh();
  const { createSession } = await import("../../src/index.js");
  const session = createSession({ env: { fetch: async () => faults.cut() } });
  expect(session.getSnapshot().status).toBe("reconnecting");
  session.close();
});

