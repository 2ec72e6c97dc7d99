/** What a sound backend never does, in real Chromium: other people's answers, and browsers that refuse things. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Browser, Page } from "playwright-core";
import { Backend, faults } from "../backend.js";
import { cable, FAST, openBrowser, serve, Tabs, until } from "./kit.js";

let browser: Browser;
let backend: Backend;
let origin: string;
let tabs: Tabs;
const ends: (() => unknown)[] = [];
beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(() => browser?.close());
afterEach(async () => {
  await tabs?.context.close();
  for (const end of ends.splice(0)) await end();
});

const page = (request: Request) => (new URL(request.url).pathname.startsWith("/page") ? new Response("<!doctype html><title>page</title>", { headers: { "content-type": "text/html" } }) : undefined);
/** A backend that also serves an empty page. */
const start = async () => {
  backend = new Backend();
  backend.program = (request) => page(request) ?? new Response("done");
  const served = await serve(backend);
  ends.push(served.end);
  origin = served.origin;
};
/** Only what the page asks for by itself is answered wrongly. */
const api = (fault: (typeof faults)[keyof typeof faults]) => {
  backend.fault = (request, pass) => (new URL(request.url).pathname.startsWith("/page") ? pass() : (fault as any)());
};
const snapshot = (page: Page) => page.evaluate(() => (globalThis as any).session.getSnapshot());
const verify = (page: Page) => page.evaluate(() => (globalThis as any).session.verify());
const signedOut = async () => (await tabs.shown()).filter(({ status }) => status == "signed-out");
/** So long that a weak rule with its ten seconds would have struck. */
const LONG_MS = 12_000;
const long = (since: number) => until("long enough", () => Date.now() - since > LONG_MS, LONG_MS + 5_000);

test.each([["denying", "wrong-nonce"], ["portal", "wrong-nonce"], ["broken", "wrong-nonce"], ["malformed", "wrong-nonce"]] as const)(
  "%s (a denial for longer than the weak rule waits): nobody is signed out",
  async (name, reason) => {
    await start();
    const { token } = backend.open("ada", "bearer");
    tabs = await Tabs.open(browser, origin + "/page", { ...FAST, mode: "bearer" }, 3);
    await tabs.signIn(token);
    api(faults[name]);
    const begun = Date.now();
    await tabs.all("reconnecting");
    expect((await snapshot(tabs.first)).reason).toBe(reason);
    if (name == "denying") await long(begun);
    backend.fault = undefined;
    await tabs.all("signed-in");
    expect(await signedOut()).toEqual([]);
    expect(tabs.errors).toEqual([]);
  },
);

test("another origin: its CORS-less 500 signs nobody out; no preflight but for the token", async () => {
  await start();
  const there = new Backend();
  there.plain = true;
  const served = await serve(there);
  ends.push(served.end);
  const { token } = there.open("ada", "bearer");
  let cors = true;
  there.fault = async (request, pass) => {
    if (!cors) return new Response("oops", { status: 500 });
    const headers = { "access-control-allow-origin": origin, "access-control-allow-headers": "authorization" };
    if (request.method == "OPTIONS") {
      // As strict as they come: one header of ours would be refused.
      const asked = request.headers.get("access-control-request-headers");
      return new Response(null, { status: asked == "authorization" ? 204 : 400, headers });
    }
    const answer = await pass();
    for (const [name, value] of Object.entries(headers)) answer.headers.set(name, value);
    return answer;
  };
  tabs = await Tabs.open(browser, origin + "/page", { ...FAST, verify: served.origin + "/api/auth/verify", ping: served.origin + "/api/health", mode: "bearer" }, 2);
  await tabs.signIn(token);
  cors = false;
  await tabs.all("reconnecting");
  expect((await snapshot(tabs.first)).reason).toBe("network");
  cors = true;
  await tabs.all("signed-in");
  expect(await signedOut()).toEqual([]);
  const names = new Set(there.requests.filter((it) => it.method != "OPTIONS").flatMap((it) => [...it.headers.keys()]));
  expect([...names].filter((name) => name.startsWith("steadfast"))).toEqual([]);
});

test("another origin that is Steadfast: recognised by its answer, believed at once after it", async () => {
  await start();
  const there = new Backend();
  const served = await serve(there);
  ends.push(served.end);
  const { token, sid } = there.open("ada", "bearer");
  there.fault = async (request, pass) => {
    const answer = request.method == "OPTIONS" ? new Response(null, { status: 204 }) : await pass();
    answer.headers.set("access-control-allow-origin", origin);
    answer.headers.set("access-control-allow-headers", "authorization, content-type, steadfast-nonce, steadfast-passive");
    answer.headers.set("access-control-expose-headers", "steadfast-nonce, steadfast-source, steadfast-session, retry-after, www-authenticate");
    return answer;
  };
  tabs = await Tabs.open(browser, origin + "/page", { ...FAST, verify: served.origin + "/_steadfast/verify", mode: "bearer" }, 2);
  await tabs.signIn(token);
  await verify(tabs.first);
  expect((await snapshot(tabs.first)).session).toBe(sid);
  there.end(sid);
  expect(await verify(tabs.first)).toMatchObject({ status: "signed-out", reason: "ended" });
  await tabs.all("signed-out");
});

test("a late 401 after a new sign-in in another tab does not sign out", async () => {
  await start();
  const { token, sid } = backend.open("ada", "bearer");
  tabs = await Tabs.open(browser, origin + "/page", { ...FAST, mode: "bearer", verifyEvery: 3_600_000, pingEvery: 3_600_000 }, 2);
  await tabs.signIn(token);
  const [one, other] = tabs.pages as [Page, Page];
  let release: (() => void) | undefined;
  backend.end(sid);
  backend.fault = async (request, pass) => {
    const answer = await pass();
    if (request.url.endsWith("/verify") && answer.status == 401) await new Promise<void>((done) => (release = done));
    return answer;
  };
  const late = verify(one);
  await until("the 401 is on its way", () => release);
  backend.fault = undefined;
  const second = backend.open("ada", "bearer");
  await other.evaluate((token) => (globalThis as any).session.signIn(token), second.token);
  release!();
  await late;
  await tabs.all("signed-in");
  expect((await tabs.snapshots()).map(({ session }) => session)).toEqual([second.sid, second.sid]);
  expect(await signedOut()).toEqual([]);
});

test("a cable that is cut under way, in bearer mode: calls wait, nobody is signed out", async () => {
  await start();
  const line = await cable(Number(new URL(origin).port));
  ends.push(line.end);
  const { token } = backend.open("ada", "bearer");
  tabs = await Tabs.open(browser, `http://127.0.0.1:${line.port}/page`, { ...FAST, mode: "bearer" }, 3);
  await tabs.signIn(token);
  line.cut(true);
  await tabs.all("reconnecting");
  const call = tabs.first.evaluate(async () => (await (globalThis as any).session.fetch("/api/x")).text());
  const post = tabs.first.evaluate(() => (globalThis as any).session.fetch("/api/x", { method: "POST" }).catch((error: Error) => error.name));
  expect(await post).toBe("TypeError");
  line.cut(false);
  expect(await call).toBe("done");
  await tabs.all("signed-in");
  expect(await signedOut()).toEqual([]);
});

test("a service worker that answers everything from its cache: said so, nobody is signed out", async () => {
  await start();
  const worker = `
    const cache = new Map();
    self.addEventListener("install", () => self.skipWaiting());
    self.addEventListener("activate", (event) => event.waitUntil(clients.claim()));
    self.addEventListener("fetch", (event) => {
      const key = new URL(event.request.url).pathname;
      if (!key.startsWith("/_steadfast")) return;
      event.respondWith((async () => {
        if (!cache.has(key)) cache.set(key, await fetch(event.request));
        return cache.get(key).clone();
      })());
    });`;
  const { token, sid } = backend.open("ada", "bearer");
  backend.program = (request) => (request.url.endsWith("/page/worker.js") ? new Response(worker, { headers: { "content-type": "text/javascript" } }) : page(request)!);
  tabs = await Tabs.open(browser, origin + "/page/", { ...FAST, mode: "bearer" }, 1);
  await tabs.signIn(token);
  await tabs.first.evaluate(async () => {
    await navigator.serviceWorker.register("/page/worker.js", { scope: "/page/" });
    await navigator.serviceWorker.ready;
    if (!navigator.serviceWorker.controller) await new Promise((done) => navigator.serviceWorker.addEventListener("controllerchange", done));
  });
  await tabs.all("reconnecting");
  expect((await snapshot(tabs.first)).reason).toBe("wrong-nonce");
  // What it replays after the end is no proof either.
  backend.end(sid);
  const begun = Date.now();
  await until("some verifications", () => Date.now() - begun > 3_000);
  expect(await tabs.statuses()).toEqual(["reconnecting"]);
  expect(await signedOut()).toEqual([]);
});

const missing: [string, () => void, "shared" | "memory"][] = [
  ["BroadcastChannel and Web Locks", () => (Reflect.deleteProperty(globalThis, "BroadcastChannel"), Reflect.deleteProperty(Navigator.prototype, "locks")), "shared"],
  ["localStorage", () => Object.defineProperty(globalThis, "localStorage", { get: () => { throw new DOMException("denied", "SecurityError"); } }), "memory"],
  ["room in localStorage", () => (Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); }), "memory"],
  ["IndexedDB", () => Object.defineProperty(globalThis, "indexedDB", { get: () => { throw new DOMException("denied", "SecurityError"); } }), "memory"],
];
test.each(missing)("without %s: works in rotating mode, says how it keeps it, tells the other tabs", async (_, remove, storage) => {
  await start();
  const { token, sid } = backend.open("ada", "rotating");
  tabs = await Tabs.open(browser, origin + "/page", { ...FAST, mode: "rotating" }, 0);
  await tabs.context.addInitScript(remove);
  // Scripts run in the order in which they were added: the session of the first one is made anew.
  await tabs.context.addInitScript((options: unknown) => {
    const it = globalThis as any;
    it.session.close();
    it.session = it.steadfast.createSession(options);
    it.session.subscribe(() => it.shown.push({ ...it.session.getSnapshot(), at: Date.now() }));
  }, { ...FAST, mode: "rotating" } as unknown);
  await tabs.more();
  await tabs.more();
  await tabs.signIn(token);
  const begun = Date.now();
  await until("several refreshes", () => Date.now() - begun > 2_500);
  expect((await tabs.snapshots()).map((it) => [it.status, it.storage, it.session])).toEqual(Array(2).fill(["signed-in", storage, sid]));
  expect(backend.theft).toEqual([]);
  await tabs.pages[1]!.evaluate(() => (globalThis as any).session.signOut());
  await tabs.all("signed-out", 1_000);
  expect(tabs.errors).toEqual([]);
});

test("the back/forward cache takes the page, and it verifies when it is back", async () => {
  await start();
  const { token } = backend.open("ada", "bearer");
  const other = await openBrowser(["--disable-back-forward-cache"]);
  ends.push(() => other.close());
  tabs = await Tabs.open(other, origin + "/page", { ...FAST, mode: "bearer", verifyEvery: 3_600_000, pingEvery: 3_600_000 }, 1);
  await tabs.signIn(token);
  await tabs.first.evaluate(() => addEventListener("pageshow", (event) => ((globalThis as any).back = event.persisted)));
  await tabs.first.goto(origin + "/page/2");
  // Not within the second in which tabs that wake together verify once.
  const left = Date.now();
  await until("a while is over", () => Date.now() - left > 2_100);
  backend.seen.length = 0;
  await tabs.first.evaluate(() => history.back());
  await until("the page is back as it was", () => tabs.first.evaluate(() => (globalThis as any).back === true).catch(() => false));
  await until("it verifies", () => backend.count("GET /_steadfast/verify") > 0);
  expect(await tabs.statuses()).toEqual(["signed-in"]);
});
