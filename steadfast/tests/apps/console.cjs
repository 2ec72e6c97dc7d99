// A person at the console, in a real browser: console.cjs PLAYWRIGHT CHROMIUM URL USER PASSWORD PICTURE
// Prints one JSON object of what was seen.

const [playwright, executablePath, url, username, password, picture] = process.argv.slice(2);
const { chromium } = require(playwright);
// A loaded machine of two cores.
const WITHIN_MS = 90_000;

const row = (page, name) => page.locator("tr", { has: page.locator(`td:text-is("${name}")`) });
const text = async (page, name) => (await row(page, name).locator("td").allInnerTexts()).slice(0, 3);

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const seen = {};
  try {
    const stranger = await browser.newContext();
    stranger.setDefaultTimeout(WITHIN_MS);
    stranger.setDefaultNavigationTimeout(WITHIN_MS);
    const page = await stranger.newPage();
    seen.stranger = (await page.goto(url).catch(() => null))?.status() ?? 401;
    await stranger.close();

    const context = await browser.newContext({ httpCredentials: { username, password } });
    context.setDefaultTimeout(WITHIN_MS);
    context.setDefaultNavigationTimeout(WITHIN_MS);
    const console_ = await context.newPage();
    const errors = [];
    console_.on("pageerror", (error) => errors.push(String(error)));
    console_.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await console_.goto(url);
    seen.before = await text(console_, "web");
    await row(console_, "web").locator("button.log", { hasText: "stdout" }).click();
    await console_.locator("#log pre", { hasText: "line" }).waitFor();
    const first = await console_.locator("#log pre").innerText();
    await console_.waitForFunction((length) => document.querySelector("#log pre").textContent.length > length, first.length);
    seen.log = (await console_.locator("#log pre").innerText()).split("\n")[0];
    await console_.screenshot({ path: picture, fullPage: true });
    await row(console_, "web").locator("button", { hasText: "restart" }).click();
    // The page that comes is another one: what stood there before is not looked at.
    const pid = (cells) => /pid (\d+)/.exec(cells?.[2] ?? "")?.[1];
    for (const end = Date.now() + 60000; Date.now() < end; ) {
      seen.after = await text(console_, "web").catch(() => undefined);
      if (seen.after?.[1] === "RUNNING" && pid(seen.after) !== pid(seen.before)) break;
      await new Promise((done) => setTimeout(done, 50));
    }
    await console_.waitForLoadState();
    seen.home = new URL(console_.url()).pathname;
    await row(console_, "web").locator("button", { hasText: "stop" }).click();
    await console_.locator("td.STOPPED").first().waitFor();
    seen.stopped = (await text(console_, "web"))[1];
    // The table comes by itself: started from outside, it shows without a reload.
    process.stdout.write("STOPPED\n");
    await console_.locator("td.RUNNING").first().waitFor({ timeout: 60000 });
    seen.again = (await text(console_, "web"))[1];
    seen.errors = errors;
  } finally {
    await browser.close();
  }
  process.stdout.write(JSON.stringify(seen) + "\n");
})().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
