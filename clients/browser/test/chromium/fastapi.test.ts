/** The README's first ten minutes: a real FastAPI on another origin, without Steadfast. */
import { spawn, type ChildProcess } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Browser } from "playwright-core";
import { Backend } from "../backend.js";
import { answers, FAST, freePort, openBrowser, serve, Tabs, until } from "./kit.js";

const PYTHON = process.env.STEADFAST_PY;
let browser: Browser;
let page: Awaited<ReturnType<typeof serve>>;
let api: string;
let server: ChildProcess;
const start = async () => {
  const { port } = new URL(api);
  server = spawn(PYTHON!, ["-m", "uvicorn", "server:app", "--port", port, "--log-level", "warning"], {
    cwd: new URL("fastapi_app", import.meta.url).pathname,
    env: { ...process.env, SECRET_KEY: "the same key in every life of it", PAGE: page.origin, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  await until("FastAPI answers", () => answers(api + "/api/health"));
};
beforeAll(async () => {
  expect(PYTHON, "STEADFAST_PY names a Python with FastAPI: cargo xtask browser makes one").toBeTruthy();
  const backend = new Backend();
  backend.fault = () => new Response("<!doctype html><title>page</title>", { headers: { "content-type": "text/html" } });
  [browser, page] = await Promise.all([openBrowser(), serve(backend)]);
  api = `http://127.0.0.1:${await freePort()}`;
  await start();
});
afterAll(async () => {
  await browser?.close();
  server?.kill("SIGKILL");
  await page?.end();
});

test("a token of the app's own login; uvicorn is killed and comes back; nobody is signed out, and a call waits", async () => {
  const tabs = await Tabs.open(browser, page.origin, { ...FAST, verify: api + "/api/auth/verify", ping: api + "/api/health", mode: "bearer" }, 3);
  const token = await tabs.first.evaluate(async (api) => (await (await fetch(api + "/api/auth/login", { method: "POST" })).json()).access_token, api);
  await tabs.signIn(token);
  expect((await tabs.snapshots())[0]).toMatchObject({ status: "signed-in", user: "ada", storage: "shared" });
  server.kill("SIGKILL");
  await tabs.all("reconnecting");
  const call = tabs.first.evaluate((api) => (globalThis as any).session.fetch(api + "/api/orders").then((answer: Response) => answer.json()), api);
  await start();
  expect(await call).toEqual({ orders: [1, 2, 3], of: "ada" });
  await tabs.all("signed-in");
  expect((await tabs.shown()).map(({ status }) => status)).not.toContain("signed-out");
  // FastAPI's plain 401 for a token that it never made: not believed at once.
  expect(await tabs.first.evaluate(() => (globalThis as any).session.signIn("not.a.token"))).toMatchObject({ status: "reconnecting", reason: "denied" });
  expect(tabs.errors).toEqual([]);
});
