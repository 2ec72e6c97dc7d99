/**
 * Ten tabs against the real binary, while everything that can break is broken: nobody is signed out.
 *
 * The numbers are short (a ping each 300 ms, a verification each 500 ms), so a network that is cut for 6 s misses as
 * many of them as one that is cut for ten minutes with the product's numbers. With those numbers it is cut once, for a
 * whole minute, in every mode at the same time.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Browser } from "playwright-core";
import type { Options } from "../../src/index.js";
import { FAST, Installation, openBrowser, Tabs, until } from "./kit.js";

const TABS = 10;
const CUT_MS = 6_000;
const PASSWORD = "correct horse battery";
let browser: Browser;
let it: Installation;
let tabs: Tabs;
/** Tabs that do nothing while the other tests run, and whose session expires meanwhile. */
let aging: { it: Installation; tabs: Tabs; since: number };
/** The idle time-out of 1 s, and the minute by which expiry is judged late. */
const EXPIRED_MS = 62_000;
beforeAll(async () => {
  const [opened, one, other] = await Promise.all([openBrowser(), Installation.start(), Installation.start("idle_timeout = 1s\n")]);
  [browser, it] = [opened, one];
  for (const each of [one, other]) await each.say(["users", "add", "ada"], PASSWORD + "\n");
  const old = await Tabs.open(browser, other.origin + "/api/health", { ...FAST, verifyEvery: 3_600_000, pingEvery: 3_600_000 }, 4);
  await old.signIn({ username: "ada", password: PASSWORD });
  aging = { it: other, tabs: old, since: Date.now() };
});
afterAll(async () => {
  await browser?.close();
  await Promise.all([it?.end(), aging?.it.end()]);
});
afterEach(() => tabs?.context.close());

const FOREIGN: Options = { ...FAST, verify: "/api/auth/verify", ping: "/api/health" };
/** How each mode is set up, and who gives the credential. */
const MODES: [string, Options, (tabs: Tabs) => Promise<unknown>][] = [
  ["cookie", FAST, async () => ({ username: "ada", password: PASSWORD })],
  ["bearer", { ...FAST, mode: "bearer" }, async () => ({ username: "ada", password: PASSWORD })],
  ["rotating", { ...FAST, mode: "rotating" }, async () => ({ username: "ada", password: PASSWORD })],
  [
    "the app's own tokens (FastAPI's addresses)",
    { ...FOREIGN, mode: "bearer" },
    (tabs) =>
      tabs.first.evaluate(async () => {
        const answer = await fetch("/api/auth/login", { method: "POST", headers: { "content-type": "application/json" }, body: '{"username":"ada"}' });
        return (await answer.json()).token;
      }),
  ],
  [
    "a cookie that the app's login sets (one header)",
    { ...FOREIGN, mode: "cookie" },
    async (tabs) => {
      await tabs.first.evaluate(() => fetch("/api/auth/login", { method: "POST", headers: { "content-type": "application/json" }, body: '{"username":"ada"}' }));
    },
  ],
];

test.each(MODES)("10 tabs, %s: restart, kill, key, gateway, network: 0 sign-outs", async (_, options, credential) => {
  tabs = await Tabs.open(browser, it.origin + "/api/health", options, TABS);
  await tabs.signIn(await credential(tabs));
  const signedOut: string[] = [];
  const after = async (what: string) => {
    await tabs.all("signed-in");
    // A verdict after it, not one from before.
    const verdicts = await tabs.first.evaluate(() => (globalThis as any).session.verify());
    expect([what, verdicts.status]).toEqual([what, "signed-in"]);
    const shown = await tabs.shown();
    signedOut.push(...shown.filter(({ status }) => status == "signed-out").map(({ reason }) => `${what}: ${reason}`));
    return shown;
  };
  const calls = tabs.pages.map((page) =>
    page.evaluate(async () => {
      const it = globalThis as any;
      it.failed = [];
      while (!it.enough) {
        const answer = await it.session.fetch("/api/auth/verify").catch((error: Error) => ({ status: String(error) }));
        if (answer.status != 200) it.failed.push(answer.status);
        await new Promise((done) => setTimeout(done, 100));
      }
      return it.failed;
    }),
  );
  await it.say(["restart", "backend"]);
  await after("restart");
  await it.kill("backend");
  await after("kill -9 the backend");
  await it.say(["secrets", "rotate", "SECRET_KEY"]);
  await after("key rotated");
  await it.kill("steadfast:gateway");
  await after("kill -9 the gateway");
  await tabs.context.setOffline(true);
  await tabs.all("offline");
  await new Promise((done) => setTimeout(done, CUT_MS));
  await tabs.context.setOffline(false);
  const shown = await after("network cut");
  expect(shown.map(({ status }) => status)).toContain("signed-in");
  for (const page of tabs.pages) await page.evaluate(() => ((globalThis as any).enough = true));
  // A GET waits through all of it: what the page asked for was answered.
  expect(new Set((await Promise.all(calls)).flat())).toEqual(new Set());
  expect(signedOut).toEqual([]);
  expect(tabs.errors).toEqual([]);
});

test("a minute without network, with the product's numbers: ten tabs in three modes, 0 sign-outs", { timeout: 180_000 }, async () => {
  const groups = await Promise.all(
    MODES.slice(0, 3).map(async ([, { mode }, credential], at) => {
      const group = await Tabs.open(browser, it.origin + "/api/health", { ...(mode && { mode }), deadline: 120_000 }, at ? 3 : 4);
      await group.signIn(await credential(group));
      return group;
    }),
  );
  await Promise.all(groups.map((group) => group.context.setOffline(true)));
  await Promise.all(groups.map((group) => group.all("offline")));
  // Somebody presses a button meanwhile.
  const calls = groups.map((group) => group.first.evaluate(async () => (await (globalThis as any).session.fetch("/api/auth/verify")).status));
  const begun = Date.now();
  await until("a minute is over", () => Date.now() - begun > 60_000, 70_000);
  for (const group of groups) expect(new Set(await group.statuses())).toEqual(new Set(["offline"]));
  await Promise.all(groups.map((group) => group.context.setOffline(false)));
  await Promise.all(groups.map((group) => group.all("signed-in")));
  expect(await Promise.all(calls)).toEqual([200, 200, 200]);
  for (const group of groups) {
    expect((await group.shown()).map(({ status }) => status)).not.toContain("signed-out");
    expect(group.errors).toEqual([]);
    await group.context.close();
  }
});

test.each(MODES.slice(0, 3))("revoked elsewhere, %s: the tab that learns it at once, the others within a second", async (mode, options, credential) => {
  // Only what the test asks for tells a tab.
  tabs = await Tabs.open(browser, it.origin + "/api/health", { ...options, verifyEvery: 3_600_000, pingEvery: 3_600_000 }, TABS);
  await tabs.signIn(await credential(tabs));
  await it.say(["sessions", "revoke", "--user", "ada"]);
  const begun = Date.now();
  const learned = await tabs.first.evaluate(async () => {
    const { status, reason } = await (globalThis as any).session.verify();
    return { status, reason, at: Date.now() };
  });
  expect([mode, learned.status, learned.reason]).toEqual([mode, "signed-out", "ended"]);
  await tabs.all("signed-out", 5_000);
  const times = (await tabs.shown()).filter(({ status }) => status == "signed-out").map(({ at }) => at - learned.at);
  expect(times).toHaveLength(TABS);
  expect(Math.max(...times)).toBeLessThan(1_000);
  expect(Date.now() - begun).toBeLessThan(10_000);
});

test("usually one ping, one verification and one refresh for 10 tabs", async () => {
  tabs = await Tabs.open(browser, it.origin + "/api/health", { mode: "rotating", pingEvery: 2_000, verifyEvery: 2_000 }, TABS);
  await tabs.signIn({ username: "ada", password: PASSWORD });
  const counts: Record<string, number> = {};
  tabs.context.on("request", (request) => {
    const name = new URL(request.url()).pathname;
    counts[name] = (counts[name] ?? 0) + 1;
  });
  const begun = Date.now();
  await until("five rounds are over", () => Date.now() - begun > 10_500);
  for (const name of ["ping", "verify", "refresh"]) {
    const count = counts["/_steadfast/" + name] ?? 0;
    // Ten tabs without an agreement would make 50 of each; a loaded machine may double one or the other.
    expect([name, count >= 3 && count <= 10, count]).toEqual([name, true, count]);
  }
});

test("the embedded client: served by the binary, with its element, no settings", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(it.origin + "/api/health");
  await page.addScriptTag({
    type: "module",
    content: `
      import { createSession } from "/_steadfast/client.js";
      const session = createSession();
      const badge = Object.assign(document.createElement("steadfast-status"), { session });
      document.body.append(badge);
      Object.assign(globalThis, { session, badge });
      globalThis.done = session.signIn({ username: "ada", password: "${PASSWORD}" });`,
  });
  await page.waitForFunction(() => (globalThis as any).done);
  await page.evaluate(() => (globalThis as any).done);
  expect(await page.evaluate(() => (globalThis as any).session.getSnapshot())).toMatchObject({ status: "signed-in", user: "ada" });
  const badge = () => page.evaluate(() => (globalThis as any).badge.shadowRoot.querySelector("[role=status]").textContent);
  expect(await badge()).toBe("");
  await context.setOffline(true);
  await until("the badge says so", async () => (await badge()) == "You are offline");
  await context.setOffline(false);
  await until("the badge is quiet again", async () => (await badge()) == "");
  await context.close();
});

test("expired: the tab that learns it at once, the others within a second", async () => {
  await until("the session is too old", () => Date.now() - aging.since > EXPIRED_MS, EXPIRED_MS + 5_000);
  expect(new Set(await aging.tabs.statuses())).toEqual(new Set(["signed-in"]));
  const learned = await aging.tabs.first.evaluate(async () => {
    const { status, reason } = await (globalThis as any).session.verify();
    return { status, reason, at: Date.now() };
  });
  expect([learned.status, learned.reason]).toEqual(["signed-out", "ended"]);
  await aging.tabs.all("signed-out", 5_000);
  const times = (await aging.tabs.shown()).filter(({ status }) => status == "signed-out").map(({ at }) => at - learned.at);
  expect(Math.max(...times)).toBeLessThan(1_000);
});
