/** `steadfast demo`, opened in a browser: its buttons, by keyboard, and what the page shows. */
import { spawn } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Browser, Page } from "playwright-core";
import { answers, BINARY, freePort, openBrowser, until } from "./kit.js";

let browser: Browser;
let origin: string;
let end: () => Promise<unknown>;
beforeAll(async () => {
  const port = await freePort();
  origin = `http://127.0.0.1:${port}`;
  const demo = spawn(BINARY, ["demo", "--port", String(port)], { stdio: "ignore" });
  end = () => {
    const ended = new Promise((done) => demo.once("exit", done));
    demo.kill("SIGINT");
    return ended;
  };
  browser = await openBrowser();
  await until("the demo answers", () => answers(origin));
});
afterAll(async () => {
  await browser?.close();
  await end?.();
});

const text = (page: Page, id: string) => page.evaluate((id) => document.getElementById(id)!.textContent!, id);
const figure = async (page: Page, id: string) => Number.parseInt(await text(page, id), 10);

test("crash, restart, hang, broken deploy, rotated key, cut network: seen, waited for, nobody signed out", async () => {
  const context = await browser.newContext();
  const asked = new Set<string>();
  context.on("request", (request) => asked.add(new URL(request.url()).origin));
  const errors: string[] = [];
  const [page, other] = [await context.newPage(), await context.newPage()];
  for (const tab of [page, other]) {
    tab.on("pageerror", (error) => errors.push(String(error)));
    await tab.goto(origin);
    await until("signed in", async () => (await text(tab, "status")) == "signed in");
  }
  await until("both tabs are counted", async () => (await figure(page, "tabs")) == 2);
  await until("the app answers", async () => (await figure(page, "good")) > 4);
  // Quiet, and there all the same for a screen reader.
  const quiet = await page.evaluate(() => {
    const badge = document.querySelector("steadfast-status")!.shadowRoot!.querySelector<HTMLElement>("[part=badge]")!;
    return [badge.offsetWidth, badge.offsetHeight, getComputedStyle(badge).display];
  });
  expect(quiet).toEqual([0, 0, "inline-flex"]);
  // Every button by its key, as somebody without a mouse.
  for (const [key, done] of [
    ["1", "crash: pid"],
    ["2", "restart: backend"],
    ["5", "key rotated: SECRET_KEY"],
    ["4", "ended with 1"],
    ["3", "hang: pid"],
  ] as const) {
    const before = await figure(page, "pid");
    await page.keyboard.press(key);
    await until(`${done} is told`, async () => (await text(page, "log")).includes(done));
    if (key != "4") await until(`another process after ${done}`, async () => (await figure(page, "pid")) != before);
    else expect([key, await figure(page, "pid")]).toEqual([key, before]);
  }
  expect(await text(page, "log")).toContain("the_new_dependency");
  expect(await figure(page, "waited")).toBeGreaterThan(0);
  expect(await page.locator("#waits tr").count()).toBeGreaterThan(0);
  // Of this page's tabs: the other one is cut as well.
  await page.locator("[data-do=cut]").focus();
  await page.keyboard.press("Enter");
  for (const tab of [page, other]) await until("offline", async () => (await text(tab, "status")) == "offline");
  expect(await page.locator("steadfast-status [part=text]").textContent()).toBe("You are offline");
  await page.keyboard.press("Enter");
  for (const tab of [page, other]) await until("back", async () => (await text(tab, "status")) == "signed in");
  const good = await figure(page, "good");
  await until("answers go on", async () => (await figure(page, "good")) > good);
  for (const tab of [page, other]) expect([await text(tab, "failed"), await text(tab, "outs")]).toEqual(["0", "0"]);
  expect(await figure(page, "pings")).toBeGreaterThan(0);
  expect(await figure(page, "verifications")).toBeGreaterThan(0);
  // Without outside assets.
  expect([...asked]).toEqual([origin]);
  expect(errors).toEqual([]);
  await context.close();
});

test("the buttons act by POST, from the demo's own page only", async () => {
  const press = async (init: RequestInit, what = "restart") => {
    const answer = await fetch(`${origin}/demo/${what}`, init);
    await answer.text();
    return answer.status;
  };
  expect(await press({})).toBe(405);
  expect(await press({ method: "POST", headers: { origin: "https://evil.example" } })).toBe(403);
  expect(await press({ method: "POST", headers: { "sec-fetch-site": "cross-site" } })).toBe(403);
  expect(await press({ method: "POST", headers: { origin } }, "nothing")).toBe(404);
});

test("both colour schemes, and room for a phone", async () => {
  for (const colorScheme of ["light", "dark"] as const) {
    const context = await browser.newContext({ colorScheme, viewport: { width: 360, height: 700 } });
    const page = await context.newPage();
    await page.goto(origin);
    await until("signed in", async () => (await text(page, "status")) == "signed in");
    const { wide, paper, ink } = await page.evaluate(() => {
      const { backgroundColor, color } = getComputedStyle(document.body);
      return { wide: document.documentElement.scrollWidth, paper: backgroundColor, ink: color };
    });
    expect(wide).toBeLessThanOrEqual(360);
    const light = (color: string) => Number(/\d+/.exec(color)![0]) > 128;
    expect([light(paper), light(ink)]).toEqual(colorScheme == "light" ? [true, false] : [false, true]);
    await context.close();
  }
});
