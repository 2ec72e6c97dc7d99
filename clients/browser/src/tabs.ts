/**
 * What the tabs of one origin share: the record of who is signed in, claimed due-times, and news.
 *
 * There is no leader and no lock here: a frozen tab would hold it. A tab that wants to do something due reads when
 * it was last claimed and claims it; that two do it at once now and then is harmless. A claim in the future means
 * that the clock was set back: it does not count.
 */
import type { Env } from "./env.js";

/** Who is signed in. Its `g` names this sign-in: answers to requests from before another one are dropped. */
export interface Rec {
  g: string;
  in: boolean;
  /** Bearer mode only; a rotating token lives in the vault. */
  token?: string | undefined;
  sid?: string | undefined;
  user?: unknown;
  /** The backend has answered as Steadfast. */
  sf?: boolean | undefined;
  /** It was verified once. */
  ok?: boolean | undefined;
  /** Why. */
  why: string;
}

export interface Tabs {
  /** Everything that was to be kept is kept where other tabs and the next page find it. */
  shared: () => boolean;
  get: (key: string) => any;
  /** `here`: in this page's memory only. */
  set: (key: string, value: unknown, here?: boolean) => void;
  /** 0: it is ours to do now. Else how long somebody else's claim lasts. */
  claim: (what: string, every: number) => number;
  tell: (news: unknown) => void;
  open: () => void;
  /** A page in the back/forward cache holds no channel. */
  close: () => void;
}

export const openTabs = (name: string, env: Env, signal: AbortSignal, heard: (news: any) => void): Tabs => {
  const memory = new Map<string, unknown>();
  let channel: BroadcastChannel | undefined;
  const get = (key: string): any => {
    if (memory.has(key)) return memory.get(key);
    try {
      return JSON.parse(env.storage()!.getItem(name + key)!);
    } catch {
      return null;
    }
  };
  const set = (key: string, value: unknown, here?: boolean) => {
    try {
      if (here) throw 0;
      env.storage()!.setItem(name + key, JSON.stringify(value));
      memory.delete(key);
    } catch {
      memory.set(key, value);
      // What the others may still read there is not true any more.
      try {
        env.storage()!.removeItem(name + key);
      } catch {}
    }
  };
  env.page?.addEventListener(
    "storage",
    ({ key, newValue }) => {
      try {
        if (key == name) heard({ rec: JSON.parse(newValue!) });
        if (key == name + ":news") heard(JSON.parse(newValue!).news);
      } catch {}
    },
    { signal },
  );
  const tabs: Tabs = {
    shared: () => !memory.size,
    get,
    set,
    claim: (what, every) => {
      const now = env.wall();
      const age = now - get(":" + what);
      if (age >= 0 && age < every) return every - age;
      set(":" + what, now);
      return 0;
    },
    tell: (news) => {
      try {
        if (channel) channel.postMessage(news);
        else set(":news", { news, n: env.name() });
      } catch {}
    },
    open: () => {
      try {
        channel ||= env.channel(name);
        if (channel) channel.onmessage = ({ data }) => heard(data);
      } catch {}
    },
    close: () => {
      channel?.close();
      channel = undefined;
    },
  };
  set(":probe", 1);
  tabs.open();
  return tabs;
};
