/** Seconds of synchronous work in this process: on the clock, and of the processor. */
export interface Timed {
  readonly wall: number;
  readonly processor: number;
}

export function timed(work: () => void): Timed {
  const processor = process.cpuUsage();
  const begin = performance.now();
  work();
  const wall = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(processor);
  return { wall, processor: (user + system) / 1e6 };
}
