import { afterEach, expect, test } from "vitest";
import { faults } from "../backend.js";
import { FOREIGN, World } from "../world.js";

let world: World;
const uncaught: unknown[] = [];
process.on("unhandledRejection", (error) => uncaught.push(error));
afterEach(() => {
  world.tabs.forEach((tab) => tab.session.close());
  expect(uncaught).toEqual([]);
});
const bearer = async (prepare: (world: World) => void = () => {}) => {
  world = new World();
  prepare(world);
  const { token, sid } = world.backend.open("ada", "bearer");
  const tab = world.tab({ mode: "bearer" });
  void tab.session.signIn(token);
  await world.run(100);
  expect(tab.status).toBe("signed-in");
  return { tab, sid };
};

test.each(["malformed", "portal", "broken", "cut", "hang", "denying"] as const)("%s for ten minutes: signed in, said so, and back at once after it", async (name) => {
  const { tab } = await bearer();
  world.backend.fault = faults[name];
  await world.run(600_000);
  expect(tab.status).toBe("reconnecting");
  expect(tab.snapshot.reason).toBe({ malformed: "wrong-nonce", portal: "wrong-nonce", broken: "wrong-nonce", cut: "network", hang: "timeout", denying: "wrong-nonce" }[name]);
  world.backend.fault = undefined;
  await world.run(32_000);
  expect(tab.status).toBe("signed-in");
  expect(tab.shown).not.toContain("signed-out");
});

test.each([-7, 7])("the browser's clock is wrong by %d hours, and is set right", async (hours) => {
  const { tab } = await bearer((it) => (it.skew += hours * 3_600_000));
  await world.run(600_000);
  world.skew -= hours * 3_600_000;
  await world.run(600_000);
  expect(tab.status).toBe("signed-in");
  expect(tab.shown).not.toContain("signed-out");
  expect(world.backend.count("GET /_steadfast/ping")).toBeGreaterThan(35);
});

test.each(["blocked", "full"] as const)("storage %s: signed in until reload, and said so", async (how) => {
  const { tab } = await bearer((it) => (it.storage = how));
  expect(tab.snapshot.storage).toBe("memory");
  await world.run(700_000);
  expect(tab.status).toBe("signed-in");
  const reloaded = world.tab({ mode: "bearer" });
  expect(reloaded.snapshot).toMatchObject({ status: "signed-out", storage: "memory" });
});

test("storage blocked: tabs that are open still hear of a sign-in and a sign-out", async () => {
  world = new World();
  world.storage = "blocked";
  const other = world.tab({ mode: "bearer" });
  const tab = world.tab({ mode: "bearer" });
  const { token } = world.backend.open("ada", "bearer");
  void tab.session.signIn(token);
  await world.run(100);
  expect(other.status).toBe("signed-in");
  void tab.session.signOut();
  await world.settle();
  expect(other.status).toBe("signed-out");
});

test("storage that fills up later: the old record is not what a reload finds", async () => {
  const { tab } = await bearer();
  world.storage = "full";
  await tab.session.signOut();
  expect(tab.snapshot).toMatchObject({ status: "signed-out", storage: "memory" });
  world.storage = "sound";
  expect(world.tab({ mode: "bearer" }).status).toBe("signed-out");
});

test("rubbish in storage is no record", async () => {
  world = new World();
  for (const text of ["{", "null", "7", '"x"', "[]", '{"g":7}']) {
    world.disk.set("steadfast https://app.example/_steadfast/verify", text);
    const tab = world.tab({ mode: "bearer" });
    await world.run(100);
    expect([text, tab.status]).toEqual([text, "signed-out"]);
    tab.session.close();
  }
});

test("BroadcastChannel missing: storage events carry sign-in, sign-out and the state", async () => {
  const { tab } = await bearer((it) => (it.channels = false));
  const other = world.tab({ mode: "bearer" });
  await world.run(100);
  world.backend.fault = faults.broken;
  void tab.session.verify();
  await world.settle();
  expect(other.status).toBe("reconnecting");
  world.backend.fault = undefined;
  void tab.session.signOut();
  await world.settle();
  expect(other.status).toBe("signed-out");
});

test("third-party cookies blocked: not signed out but said so", async () => {
  world = new World();
  const tab = world.tab({ verify: "https://api.example/_steadfast/verify", mode: "cookie" });
  await world.run(100);
  void tab.session.signIn();
  // The browser keeps the cookie back: the backend sees none.
  await world.run(200_000);
  expect(tab.snapshot).toMatchObject({ status: "reconnecting", reason: "no-credential" });
  expect(tab.shown.slice(1)).not.toContain("signed-out");
});

test("third-party cookies that are blocked later: the gateway says that none came", async () => {
  world = new World();
  const tab = world.tab({ verify: "https://api.example/_steadfast/verify", mode: "cookie" });
  void tab.session.signIn({ username: "ada", password: "right" });
  await world.run(100);
  expect(tab.status).toBe("signed-in");
  world.cookies.clear();
  void tab.session.verify();
  await world.run(200_000);
  expect(tab.snapshot).toMatchObject({ status: "reconnecting", reason: "no-cookie" });
});

test("third-party cookies blocked, an ordinary backend", async () => {
  world = new World();
  world.backend.plain = true;
  const tab = world.tab({ ...FOREIGN, verify: "https://api.example/api/auth/verify", mode: "cookie" });
  void tab.session.signIn();
  await world.run(200_000);
  expect(tab.snapshot).toMatchObject({ status: "reconnecting", reason: "no-credential" });
  expect(tab.shown).not.toContain("signed-out");
});

test("a service worker that answers from its cache: an old 200 and an old 401 say nothing", async () => {
  const { tab, sid } = await bearer();
  const old = new Map<string, Response>();
  world.backend.fault = async (request, pass) => {
    const key = new URL(request.url).pathname;
    if (!old.has(key)) old.set(key, await pass());
    return old.get(key)!.clone();
  };
  void tab.session.verify();
  await world.run(400_000);
  expect(tab.snapshot).toMatchObject({ status: "reconnecting", reason: "wrong-nonce" });
  old.clear();
  world.backend.fault = undefined;
  await world.run(40_000);
  expect(tab.status).toBe("signed-in");
  world.backend.end(sid);
  const denied = await world.backend.answer(new Request("https://app.example/_steadfast/verify"));
  world.backend.fault = () => denied.clone();
  void tab.session.verify();
  await world.run(400_000);
  expect(tab.status).toBe("reconnecting");
});

test("options that make no sense are survived", async () => {
  world = new World();
  const { token } = world.backend.open("ada", "bearer");
  const tab = world.tab({ mode: "bearer", pingEvery: 0, verifyEvery: Infinity, attempts: 1, backoff: 0 });
  void tab.session.signIn(token);
  await world.run(100);
  expect(tab.status).toBe("signed-in");
  expect(world.log).toEqual([]);
});
