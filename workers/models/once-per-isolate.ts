/**
 * One immutable value for an isolate, loaded by whichever request needs it first. Requests may not await one another's promises
 * (the runtime ties a promise to the request that made it), so those that come while it loads look again a moment later.
 */
const POLL_MILLISECONDS = 10;
/** A loader that takes longer has lost its request; the next one to look loads instead. */
const ABANDONED_AFTER_MILLISECONDS = 5_000;

export function oncePerIsolate<Source, Value>(load: (source: Source) => Promise<Value>): (source: Source) => Promise<Value> {
  let loaded: { readonly value: Value } | null = null;
  let loadingSince: number | null = null;

  return async (source) => {
    while (loaded === null) {
      if (loadingSince !== null && Date.now() - loadingSince < ABANDONED_AFTER_MILLISECONDS) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
        continue;
      }
      loadingSince = Date.now();
      try {
        loaded = { value: await load(source) };
      } finally {
        loadingSince = null;
      }
    }
    return loaded.value;
  };
}
