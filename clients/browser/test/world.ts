/** Tabs of one browser in one process: a clock that the test moves, shared storage, a channel, a lock, a network. */
import { createSession, type Options, type Session, type Snapshot } from "../src/index.js";
import type { Env } from "../src/env.js";
import { Backend } from "./backend.js";

export const ORIGIN = "https://app.example";

/** Cryptography and databases work beside the loop: a world has settled when they have. */
let pending = 0;
let busy = false;
const watch = (target: any, name: string) => {
  const real = target[name];
  target[name] = (...args: unknown[]) => {
    pending++;
    const end = () => {
      pending--;
      busy = true;
    };
    const doing = real.apply(target, args);
    if (doing instanceof Promise) doing.then(end, end);
    else for (const type of ["success", "error"]) doing.addEventListener(type, end);
    return doing;
  };
};
watch(crypto.subtle, "generateKey");
watch(crypto.subtle, "sign");
watch(indexedDB, "open");

interface Timer {
  at: number;
  act: () => void;
}

export class World {
  readonly backend = new Backend();
  readonly log: string[] = [];
  now = 1_000;
  /** Added to the wall clock: browsers are wrong by hours. */
  skew = 1_700_000_000_000;
  online = true;
  readonly disk = new Map<string, string>();
  /** Throws on use, or when something is kept. */
  storage: "sound" | "blocked" | "full" = "sound";
  channels = true;
  private timers: Timer[] = [];
  private readonly ports = new Map<string, Set<any>>();
  readonly tabs: Tab[] = [];
  private seed = 1;
  cookies = new Map<string, string>();

  random(): number {
    // Park-Miller: the same in every run.
    this.seed = (this.seed * 48_271) % 2_147_483_647;
    return this.seed / 2_147_483_647;
  }
  after(ms: number, act: () => void): () => void {
    const timer = { at: this.now + ms, act };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((it) => it != timer);
    };
  }
  /** Lets everything that is under way settle, without time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 12 || pending; turn++) await new Promise((done) => setImmediate(done));
    if (busy) {
      busy = false;
      return this.settle();
    }
  }
  /** Time goes by. */
  async run(ms: number): Promise<void> {
    const end = this.now + ms;
    await this.settle();
    for (;;) {
      const next = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers = this.timers.filter((it) => it != next);
      this.now = Math.max(this.now, next.at);
      next.act();
      await this.settle();
    }
    this.now = end;
  }
  channel(name: string): any {
    const ports = this.ports.get(name) ?? new Set();
    this.ports.set(name, ports);
    const port = {
      onmessage: undefined as undefined | ((event: { data: unknown }) => void),
      postMessage: (data: unknown) => {
        const copy = structuredClone(data);
        for (const other of ports) if (other != port) queueMicrotask(() => other.onmessage?.({ data: copy }));
      },
      close: () => ports.delete(port),
    };
    ports.add(port);
    return port;
  }
  tab(options: Options = {}, base = ORIGIN + "/page"): Tab {
    const tab = new Tab(this, options, base);
    this.tabs.push(tab);
    return tab;
  }
}

export class Tab {
  readonly page = Object.assign(new EventTarget(), { document: Object.assign(new EventTarget(), { visibilityState: "visible" }) });
  readonly session: Session;
  /** Every status that was shown, in order. */
  readonly shown: string[] = [];
  constructor(
    readonly world: World,
    options: Options,
    readonly base: string,
  ) {
    const tab = this;
    const storage = {
      getItem: (key: string) => {
        if (world.storage == "blocked") throw new DOMException("denied", "SecurityError");
        return world.disk.get(key) ?? null;
      },
      setItem: (key: string, value: string) => {
        if (world.storage != "sound") throw new DOMException("full", "QuotaExceededError");
        world.disk.set(key, value);
        for (const other of world.tabs)
          if (other != tab) queueMicrotask(() => other.page.dispatchEvent(Object.assign(new Event("storage"), { key, newValue: value })));
      },
      removeItem: (key: string) => {
        if (world.storage == "blocked") throw new DOMException("denied", "SecurityError");
        world.disk.delete(key);
      },
    };
    const env: Partial<Env> = {
      fetch: (input, init) => tab.send(input, init),
      wall: () => world.now + world.skew,
      mono: () => world.now,
      after: (ms, act) => world.after(ms, act),
      random: () => world.random(),
      storage: () => {
        if (world.storage == "blocked") throw new DOMException("denied", "SecurityError");
        return storage as unknown as Storage;
      },
      channel: (name) => (world.channels ? world.channel(name) : undefined),
      locks: undefined,
      page: this.page as unknown as Window,
      base,
      online: () => world.online,
      log: (text) => world.log.push(text),
    };
    this.session = createSession({ ...options, env: { ...env, ...options.env } });
    this.session.subscribe(() => this.shown.push(this.snapshot.status));
  }
  get snapshot(): Snapshot {
    return this.session.getSnapshot();
  }
  get status(): string {
    return this.snapshot.status;
  }
  /** The browser's side of a fetch: cookies, aborts, redirects. */
  private async send(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const { world } = this;
    const request = new Request(input, init);
    const { signal } = request;
    const headers = new Headers(request.headers);
    const jar = [...world.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const credentials = (init?.credentials ?? request.credentials) as string;
    if (jar && credentials != "omit") headers.set("cookie", jar);
    const body = request.body ? await request.text() : null;
    const aborted = new Promise<never>((_, fail) => {
      const abort = () => fail(signal.reason ?? new DOMException("aborted", "AbortError"));
      signal.aborted ? abort() : signal.addEventListener("abort", abort);
    });
    aborted.catch(() => {});
    const response = await Promise.race([aborted, (async () => world.backend.answer(new Request(request.url, { method: request.method, headers, body })))()]);
    const cookie = /^sid=([^;]*)/.exec(response.headers.get("set-cookie") ?? "");
    if (cookie && credentials != "omit") cookie[1] ? world.cookies.set("sid", cookie[1]) : world.cookies.delete("sid");
    return response;
  }
  hide(): void {
    this.page.document.visibilityState = "hidden";
    this.page.document.dispatchEvent(new Event("visibilitychange"));
  }
  show(): void {
    this.page.document.visibilityState = "visible";
    this.page.document.dispatchEvent(new Event("visibilitychange"));
  }
  fire(type: string, more: object = {}): void {
    this.page.dispatchEvent(Object.assign(new Event(type), more));
  }
}

/** The addresses of an ordinary backend. */
export const FOREIGN: Options = { verify: "/api/auth/verify", ping: "/api/health", mode: "bearer" };
