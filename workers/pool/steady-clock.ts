/** Milliseconds that have passed since it was made, by a clock that may be set: one that is set back adds none. */
export function steadyClock(now: () => number): () => number {
  let last = now();
  let elapsed = 0;
  return () => {
    const current = now();
    elapsed += Math.max(0, current - last);
    last = current;
    return elapsed;
  };
}
