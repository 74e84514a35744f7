/** What must be ended when somebody ends the benchmark: a stack is a process group of its own, and a child may compute for minutes. */

type Cleanup = () => void | Promise<void>;

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const cleanups = new Set<Cleanup>();

/** Runs `cleanup` if a signal ends this process. Returns what takes that back. */
export function whenEnded(cleanup: Cleanup): () => void {
  if (cleanups.size === 0) for (const signal of signals) process.on(signal, onSignal);
  cleanups.add(cleanup);
  return () => {
    cleanups.delete(cleanup);
    if (cleanups.size === 0) stopListening();
  };
}

function onSignal(signal: NodeJS.Signals): void {
  stopListening();
  // Nothing listens any more, so the signal ends this process the way it would have.
  void Promise.allSettled([...cleanups].map(async (cleanup) => cleanup())).then(() => process.kill(process.pid, signal));
}

function stopListening(): void {
  for (const signal of signals) process.off(signal, onSignal);
}
