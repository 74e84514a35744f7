/** Waits this long, and for a network that is away; throws the abort's reason. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await settled((done) => {
    const timer = setTimeout(done, milliseconds);
    return () => clearTimeout(timer);
  }, signal);
  if (navigator.onLine) return;
  await settled((done) => {
    addEventListener("online", done, { once: true });
    return () => removeEventListener("online", done);
  }, signal);
}

function settled(begin: (done: () => void) => () => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const undo = begin(() => {
      signal.removeEventListener("abort", aborted);
      resolve();
    });
    function aborted(): void {
      undo();
      reject(signal.reason as Error);
    }
    signal.addEventListener("abort", aborted, { once: true });
  });
}
