import { afterEach, expect, test, vi } from "vitest";
import { faults } from "../backend.js";
import { World } from "../world.js";

let world: World;
afterEach(() => {
  world.tabs.forEach((tab) => tab.session.close());
  indexedDB.deleteDatabase("steadfast");
  vi.restoreAllMocks();
});
const signedIn = async () => {
  world = new World();
  const { token, sid } = world.backend.open("ada", "rotating");
  const tab = world.tab({ mode: "rotating" });
  void tab.session.signIn(token);
  await world.run(100);
  expect(tab.snapshot).toMatchObject({ status: "signed-in", session: sid, storage: "shared" });
  return { tab, token, sid };
};
const used = () => world.backend.requests.filter((it) => it.url.endsWith("/verify")).map((it) => it.headers.get("authorization"));

test("a sign-in binds its token at once: one refresh, and the next token is the one in use", async () => {
  const { token } = await signedIn();
  expect(world.backend.count("POST /_steadfast/refresh")).toBe(1);
  expect(used().at(-1)).toContain(".1.");
  expect(used()).not.toContain("Bearer " + token);
});

test("no token in localStorage, and a key that no script can read", async () => {
  await signedIn();
  expect([...world.disk.values()].join()).not.toContain("sf1.r");
  const pairs = await new Promise<any[]>((done) => {
    const opening = indexedDB.open("steadfast");
    opening.onsuccess = () => {
      const all = opening.result.transaction("pairs").objectStore("pairs").getAll();
      all.onsuccess = () => (opening.result.close(), done(all.result));
    };
  });
  expect(pairs).toHaveLength(1);
  expect(pairs[0].ci).toMatchObject({ extractable: false, usages: ["sign"] });
});

test("10 tabs for an hour: about one refresh each 5 min, no theft, nobody signed out", async () => {
  const { sid } = await signedIn();
  for (let n = 1; n < 10; n++) world.tab({ mode: "rotating" });
  await world.run(3_600_000);
  expect(world.backend.theft).toEqual([]);
  expect(world.tabs.flatMap((tab) => tab.shown)).not.toContain("signed-out");
  expect(world.tabs.map((tab) => tab.snapshot.session)).toEqual(Array(10).fill(sid));
  expect(world.backend.count("POST /_steadfast/refresh")).toBeLessThan(40);
});

test("lost answers, cuts and restarts during refreshes: never a theft, never a sign-out", async () => {
  await signedIn();
  for (let n = 1; n < 5; n++) world.tab({ mode: "rotating" });
  let dice = 0;
  world.backend.fault = async (_, pass) => {
    dice = (dice * 7 + 3) % 11;
    if (dice < 3) return faults.cut();
    if (dice < 5) return faults.starting();
    const answer = await pass();
    // The backend has done it, the answer is lost.
    if (dice < 8) return faults.cut();
    return answer;
  };
  await world.run(600_000);
  world.backend.fault = undefined;
  await world.run(60_000);
  expect(world.backend.theft).toEqual([]);
  expect(world.tabs.flatMap((tab) => tab.shown)).not.toContain("signed-out");
  expect(world.tabs.map((tab) => tab.status)).toEqual(Array(5).fill("signed-in"));
});

test("storage rolled back by a few refreshes: goes on", async () => {
  const { tab, token } = await signedIn();
  const { openVault } = await import("../../src/vault.js");
  const vault = openVault("steadfast https://app.example/_steadfast/verify", () => {});
  const old = (await vault())!;
  for (let n = 0; n < 3; n++) {
    void tab.session.verify();
    await world.run(1_000);
  }
  await vault(() => old);
  void tab.session.verify();
  await world.run(1_000);
  expect([tab.status, world.backend.theft, old.token == token]).toEqual(["signed-in", [], false]);
});

test("a stolen token is noticed: both are signed out", async () => {
  const { tab } = await signedIn();
  const stolen = used().at(-1)!.slice(7);
  await world.backend.answer(new Request("https://app.example/_steadfast/refresh", { method: "POST", body: JSON.stringify({ token: stolen, a: "x".repeat(43) }) }));
  void tab.session.verify();
  await world.run(1_000);
  expect(world.backend.theft).toHaveLength(1);
  expect(tab.snapshot).toMatchObject({ status: "signed-out", reason: "ended" });
});

test("revoked: signed out at once in every tab, and the token is gone", async () => {
  const { tab, sid } = await signedIn();
  const other = world.tab({ mode: "rotating" });
  await world.run(100);
  world.backend.end(sid);
  void tab.session.verify();
  await world.settle();
  expect([tab.status, other.status]).toEqual(["signed-out", "signed-out"]);
  const { openVault } = await import("../../src/vault.js");
  expect(await openVault("steadfast https://app.example/_steadfast/verify", () => {})()).toBeUndefined();
});

test("IndexedDB refused: signed in until reload, said so, in every tab", async () => {
  world = new World();
  vi.spyOn(indexedDB, "open").mockImplementation(() => {
    throw new DOMException("denied", "SecurityError");
  });
  const { token } = world.backend.open("ada", "rotating");
  const other = world.tab({ mode: "rotating" });
  const tab = world.tab({ mode: "rotating" });
  void tab.session.signIn(token);
  await world.run(700_000);
  expect([tab, other].map((it) => [it.status, it.snapshot.storage])).toEqual(Array(2).fill(["signed-in", "memory"]));
  expect(world.backend.theft).toEqual([]);
  tab.session.close();
  other.session.close();
  const reloaded = world.tab({ mode: "rotating" });
  expect(reloaded.status).toBe("signed-out");
});

test("a lock that is never released holds a refresh up for 5 s, no longer", async () => {
  world = new World();
  const { token } = world.backend.open("ada", "rotating");
  const locks = { request: () => new Promise(() => {}) } as unknown as LockManager;
  const tab = world.tab({ mode: "rotating", env: { locks } });
  void tab.session.signIn(token);
  await world.run(4_900);
  expect(world.backend.count("POST /_steadfast/refresh")).toBe(0);
  await world.run(200);
  expect(world.backend.count("POST /_steadfast/refresh")).toBe(1);
  expect(tab.snapshot).toMatchObject({ status: "signed-in", reason: "verified" });
});

test("locks that throw are done without", async () => {
  world = new World();
  const { token } = world.backend.open("ada", "rotating");
  const locks = {
    request: () => {
      throw new DOMException("no", "SecurityError");
    },
  } as unknown as LockManager;
  const tab = world.tab({ mode: "rotating", env: { locks } });
  void tab.session.signIn(token);
  await world.run(100);
  expect(world.backend.count("POST /_steadfast/refresh")).toBe(1);
  expect(tab.status).toBe("signed-in");
});
