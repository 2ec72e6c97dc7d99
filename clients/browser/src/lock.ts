/** A refresh waits so long for another tab's, then goes on without the lock: frozen tabs hold locks. */
export const LOCK_MS_MAX = 5_000;

/** Runs `act` under a Web Lock where there is one; never steals, never waits for ever. */
export const locked = <T>(
  locks: LockManager | undefined,
  name: string,
  after: (ms: number, act: () => void) => () => void,
  act: () => Promise<T>,
): Promise<T> => {
  if (!locks) return act();
  const stop = new AbortController();
  return new Promise((done) => {
    let begun = false;
    const once = async () => {
      cancel();
      if (begun) return;
      begun = true;
      const doing = act();
      done(doing);
      await doing.catch(() => {});
    };
    const cancel = after(LOCK_MS_MAX, () => {
      stop.abort();
      void once();
    });
    try {
      locks.request(name, { signal: stop.signal }, once).catch(once);
    } catch {
      void once();
    }
  });
};
