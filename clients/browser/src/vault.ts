/**
 * Where a rotating token and its client key live: IndexedDB, because only it keeps a key that no script can read,
 * and because both change in one transaction. The key proves that a refresh comes from the browser that made it.
 */

export interface Pair {
  /** The sign-in that it belongs to. */
  g: string;
  token: string;
  /** HMAC-SHA-256, not extractable. */
  ci: CryptoKey;
}

/** Reads and perhaps replaces the pair in one transaction: undefined leaves it, null removes it. */
export type Vault = (change?: (old: Pair | undefined) => Pair | null | undefined) => Promise<Pair | undefined>;

/** `lost` is told when the browser refuses to keep a change; from then on this page's memory has to do. */
export const openVault = (name: string, lost: () => void): Vault => {
  let seen: Pair | undefined;
  let memory = false;
  const disk: Vault = (change) =>
    new Promise((done, fail) => {
      const opening = indexedDB.open("steadfast", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("pairs");
      opening.onerror = opening.onblocked = fail;
      opening.onsuccess = () => {
        const db = opening.result;
        let pair: Pair | undefined;
        // An open connection must not hinder anybody, the back/forward cache least of all.
        const end = (act: (it?: any) => void) => () => (db.close(), act(pair));
        try {
          const transaction = db.transaction("pairs", change ? "readwrite" : "readonly", { durability: "strict" });
          const pairs = transaction.objectStore("pairs");
          const reading = pairs.get(name);
          reading.onsuccess = () => {
            pair = reading.result;
            const next = change?.(pair);
            if (next) pairs.put((pair = next), name);
            else if (next === null) pairs.delete(name);
          };
          transaction.oncomplete = end(done);
          transaction.onabort = end(fail);
        } catch {
          end(fail)();
        }
      };
    });
  return async (change) => {
    if (!memory)
      try {
        return (seen = await disk(change));
      } catch {
        if (!change) {
          if (!seen) throw 0;
          return seen;
        }
        memory = true;
        lost();
      }
    const next = change?.(seen);
    if (next !== undefined) seen = next || undefined;
    return seen;
  };
};
