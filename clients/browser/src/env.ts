/** What a page gives us, in one place: tests hand in their own. Anything may be missing or forbidden. */
export interface Env {
  fetch: typeof fetch;
  /** Milliseconds since 1970: shared by tabs, and wrong by hours now and then. Decides nothing. */
  wall: () => number;
  /** Milliseconds that only rise. */
  mono: () => number;
  /** Calls back once; the answer cancels. */
  after: (ms: number, act: () => void) => () => void;
  /** In [0, 1). */
  random: () => number;
  /** For nonces and names: at most 32 letters and digits, some 80 random bits. */
  name: () => string;
  storage: () => Storage | undefined;
  channel: (name: string) => BroadcastChannel | undefined;
  locks: LockManager | undefined;
  page: Window | undefined;
  /** Addresses are relative to this. */
  base: string;
  online: () => boolean;
  log: (text: string) => void;
}

/** The longest that a timer can run. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export const browser = (): Env => {
  const page = globalThis.window as Window | undefined;
  const nav = globalThis.navigator as Navigator | undefined;
  return {
    fetch: (input, init) => globalThis.fetch(input, init),
    wall: () => Date.now(),
    mono: () => performance.now() + 1,
    after: (ms, act) => {
      const timer = setTimeout(act, Math.min(ms, TIMER_MS_MAX));
      return () => clearTimeout(timer);
    },
    random: () => Math.random(),
    name: () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(36)).join(""),
    storage: () => page?.localStorage,
    channel: (name) => (globalThis.BroadcastChannel ? new BroadcastChannel(name) : undefined),
    locks: nav?.locks,
    page,
    base: page?.document?.baseURI || "http://localhost/",
    online: () => nav?.onLine !== false,
    log: (text) => console.debug(text),
  };
};
