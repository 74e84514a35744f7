/**
 * Immutable values of an isolate by key, each loaded by whichever request needs it first. Requests may not await one another's promises
 * (the runtime ties a promise to the request that made it), so those that come while it loads look again a moment later.
 */
const pollMilliseconds = 10;
/** A loader that takes longer has lost its request; the next one to look loads instead. */
const abandonedAfterMilliseconds = 5_000;

interface Slot<Value> {
  loaded: { readonly value: Value } | null;
  loadingSince: number | null;
}

/** Of more than `most` values those go that were used longest ago; they are loaded again when they are asked for. */
export function oncePerIsolate<Source, Value>(
  load: (source: Source, key: string) => Promise<Value>,
  most = 1,
): (source: Source, key?: string) => Promise<Value> {
  const slots = new Map<string, Slot<Value>>();

  return async (source, key = "") => {
    const slot = slots.get(key) ?? { loaded: null, loadingSince: null };
    // The newest use is the last.
    slots.delete(key);
    slots.set(key, slot);
    for (const [oldest] of slots) {
      if (slots.size <= most) break;
      slots.delete(oldest);
    }
    while (slot.loaded === null) {
      if (slot.loadingSince !== null && Date.now() - slot.loadingSince < abandonedAfterMilliseconds) {
        await new Promise((resolve) => setTimeout(resolve, pollMilliseconds));
        continue;
      }
      slot.loadingSince = Date.now();
      try {
        slot.loaded = { value: await load(source, key) };
      } finally {
        slot.loadingSince = null;
      }
    }
    return slot.loaded.value;
  };
}
