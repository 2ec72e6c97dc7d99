/** Real Chromium, real tabs, and the real binary with a backend behind it. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, get, type Server } from "node:http";
import { connect, createServer as createTcp, type AddressInfo, type Socket } from "node:net";
import { build } from "esbuild";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import type { Options, Snapshot } from "../../src/index.js";
import type { Backend } from "../backend.js";

const here = new URL("../..", import.meta.url).pathname;
export const BINARY = process.env.STEADFAST_BIN ?? here + "../../target/debug/steadfast";
const CHROMIUM = process.env.STEADFAST_CHROMIUM ?? "/usr/bin/chromium";
/** A loaded machine may take so long for anything. */
export const PATIENCE_MS = 60_000;

/** Short numbers, so that minutes become seconds: a cut of 3 s is 10 pings and 6 verifications long. */
export const FAST: Options = { pingEvery: 300, verifyEvery: 500, backoff: 30, timeout: 5_000 };

/** Looks at `condition` until it holds. */
export const until = async (what: string, condition: () => unknown, within = PATIENCE_MS): Promise<void> => {
  for (const end = Date.now() + within; ; ) {
    if (await condition()) return;
    if (Date.now() > end) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
};
/** Below what the kernel gives to connections: one of them could have it before a server does. */
let nextPort = 12_000 + (process.pid % 7_000);
export const freePort = (): Promise<number> =>
  new Promise((done) => {
    const port = nextPort++;
    const server = createTcp();
    server.on("error", () => done(freePort()));
    server.listen(port, "127.0.0.1", () => server.close(() => done(port)));
  });

/** Whether an address answers well; on a connection that is closed, which nothing has to wait for. */
export const answers = (url: string) =>
  new Promise<boolean>((done) => {
    get(url, { agent: false }, (answer) => {
      answer.resume();
      done(answer.statusCode == 200);
    }).on("error", () => done(false));
  });

/** Without some of the arguments that Playwright gives by itself. */
export const openBrowser = (without: string[] = []): Promise<Browser> =>
  chromium.launch({
    ignoreDefaultArgs: without,
    executablePath: CHROMIUM,
    headless: true,
    chromiumSandbox: false,
    args: ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
  });

let bundle: Promise<string> | undefined;
const script = () =>
  (bundle ??= build({ absWorkingDir: here, entryPoints: ["src/index.ts"], bundle: true, write: false, format: "iife", globalName: "steadfast", footer: { js: "globalThis.steadfast = steadfast" }, target: "es2022" }).then((it) => it.outputFiles[0]!.text));

/** Tabs of one browser profile, each with a session of its own. */
export class Tabs {
  readonly pages: Page[] = [];
  readonly errors: string[] = [];
  private constructor(
    readonly context: BrowserContext,
    readonly url: string,
  ) {}
  /** Every page of it runs `createSession(options)` when it loads, and notes each status that it shows. */
  static async open(browser: Browser, url: string, options: Options, count: number): Promise<Tabs> {
    const context = await browser.newContext();
    const tabs = new Tabs(context, url);
    await context.addInitScript({ content: await script() });
    await context.addInitScript((options: unknown) => {
      const it = globalThis as any;
      it.shown = [];
      it.session = it.steadfast.createSession(options);
      it.session.subscribe(() => {
        const { status, reason } = it.session.getSnapshot();
        it.shown.push({ status, reason, at: Date.now() });
      });
    }, options as unknown);
    for (let n = 0; n < count; n++) await tabs.more();
    return tabs;
  }
  async more(): Promise<Page> {
    const page = await this.context.newPage();
    page.on("pageerror", (error) => this.errors.push(String(error)));
    await page.goto(this.url);
    this.pages.push(page);
    return page;
  }
  get first(): Page {
    return this.pages[0]!;
  }
  async snapshots(): Promise<Snapshot[]> {
    return Promise.all(this.pages.map((page) => page.evaluate(() => (globalThis as any).session.getSnapshot())));
  }
  async statuses(): Promise<string[]> {
    return (await this.snapshots()).map(({ status }) => status);
  }
  /** Everything that was shown since the last call, of all tabs. */
  async shown(): Promise<{ status: string; reason: string; at: number }[]> {
    return (await Promise.all(this.pages.map((page) => page.evaluate(() => (globalThis as any).shown.splice(0))))).flat();
  }
  async all(status: string, within?: number): Promise<void> {
    await until(`every tab is ${status}`, async () => (await this.statuses()).every((it) => it == status), within).catch(async (error) => {
      throw new Error(`${error.message}: ${JSON.stringify(await this.snapshots())}`);
    });
  }
  async signIn(token?: unknown): Promise<void> {
    await this.first.evaluate((token) => (globalThis as any).session.signIn(token), token);
    await this.all("signed-in");
    await this.shown();
  }
}

const run = (file: string, args: string[], env: NodeJS.ProcessEnv, input = "") =>
  new Promise<{ exit: number; out: string }>((done) => {
    const child = execFile(file, args, { env }, (error, out, err) => done({ exit: error ? Number(error.code ?? -1) : 0, out: out + err }));
    // It may have ended without reading.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });

/** `steadfast run` with the demo's app behind the gateway. */
export class Installation {
  private constructor(
    readonly dir: string,
    readonly origin: string,
    private readonly root: ChildProcess,
  ) {}
  /** `sessions`: more lines of that section. */
  static async start(sessions = ""): Promise<Installation> {
    if (!existsSync(BINARY)) throw new Error(`${BINARY} is not there: cargo build, or name it in STEADFAST_BIN`);
    // Under /tmp: paths of Unix sockets end at 108 bytes.
    const dir = mkdtempSync("/tmp/steadfast-");
    const port = await freePort();
    writeFileSync(dir + "/supervisord.conf", configuration(dir, port) + sessions);
    mkdirSync(dir + "/run");
    const root = spawn(BINARY, ["run", "-c", dir + "/supervisord.conf"], { env: { ...process.env, STEADFAST_RUN_DIR: dir + "/run" }, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [root.stdout!, root.stderr!]) stream.on("data", (data) => (said += data));
    const it = new Installation(dir, `http://127.0.0.1:${port}`, root);
    await until("the app answers", () => answers(it.origin + "/api/health")).catch(async (error) => {
      await it.end();
      throw new Error(`${error.message}\n${said}`);
    });
    return it;
  }
  async say(args: string[], input?: string): Promise<string> {
    const { exit, out } = await this.try(args, input);
    if (exit) throw new Error(`steadfast ${args.join(" ")}: exit ${exit}\n${out}`);
    return out;
  }
  try(args: string[], input?: string) {
    return run(BINARY, [...args, "-c", this.dir + "/supervisord.conf"], { ...process.env, STEADFAST_RUN_DIR: this.dir + "/run" }, input);
  }
  async pid(program: string): Promise<number> {
    return Number((await this.say(["pid", program])).trim());
  }
  /** SIGKILL, until another process is there. */
  async kill(program: string): Promise<void> {
    const before = await this.pid(program);
    process.kill(before, "SIGKILL");
    await until(program + " is back", async () => {
      const { exit, out } = await this.try(["pid", program]);
      return !exit && Number(out) > 0 && Number(out) != before;
    });
    await until("it answers", () => answers(this.origin + "/api/health"));
  }
  async end(): Promise<void> {
    if (this.root.exitCode === null) {
      const ended = new Promise((done) => this.root.once("exit", done));
      this.root.kill("SIGTERM");
      await ended;
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
  log(name: string): string {
    return readFileSync(`${this.dir}/${name}`, "utf8");
  }
}

const configuration = (dir: string, port: number) => `[supervisord]
logfile = ${dir}/supervisord.log
pidfile = ${dir}/supervisord.pid
childlogdir = ${dir}

[steadfast]
state_dir = ${dir}/state

[program:backend]
command = "${BINARY}" __demo-app --port ${port}
steadfast_command = "${BINARY}" __demo-app --uds %(socket)s
directory = ${dir}
redirect_stderr = true
stdout_logfile = ${dir}/backend.log
listen = gateway
env_file = .env
secrets = SECRET_KEY
signing = SECRET_KEY
ready = http:/api/health
keepalive = 1s
unhealthy = restart after 3

[gateway:web]
listen = 127.0.0.1:${port}
route = / -> backend
auth = optional
login = /api/auth/login

[sessions]
store = sqlite
`;

/** A scripted backend on a real port, for what a sound one never does. */
export const serve = async (backend: Backend): Promise<{ origin: string; server: Server; end: () => Promise<void> }> => {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", async () => {
      const url = `http://${request.headers.host}${request.url}`;
      const headers = new Headers(Object.entries(request.headers).flatMap(([name, value]) => (name == "connection" ? [] : [[name, String(value)] as [string, string]])));
      const body = Buffer.concat(chunks);
      try {
        const answer = await backend.answer(new Request(url, { method: request.method!, headers, body: body.length ? body : null }));
        const cookies = answer.headers.getSetCookie();
        answer.headers.delete("set-cookie");
        response.writeHead(answer.status, { ...Object.fromEntries(answer.headers), ...(cookies.length && { "set-cookie": cookies }) });
        response.end(Buffer.from(await answer.arrayBuffer()));
      } catch {
        // A fault that threw is a cut.
        request.socket.destroy();
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    server,
    end: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
};

/** A port in front of another one, which can be cut like a cable. */
export const cable = async (to: number) => {
  const sockets = new Set<Socket>();
  let cut = false;
  const server = createTcp((near) => {
    if (cut) return near.destroy();
    const far = connect(to, "127.0.0.1");
    for (const [one, other] of [[near, far], [far, near]] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => (sockets.delete(one), other.destroy()));
    }
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    port: (server.address() as AddressInfo).port,
    cut: (now: boolean) => {
      cut = now;
      if (cut) for (const socket of sockets) socket.destroy();
    },
    end: () => server.close(),
  };
};
