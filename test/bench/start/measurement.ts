/** What a program of this suite tells: it starts once, in a process of its own, and ends. */

/** Seconds of one part of a start. */
export interface Part {
  readonly name: string;
  readonly wall: number;
  readonly processor: number;
}

export interface StartMeasurement {
  readonly description: string;
  /** In order, one after another. */
  readonly parts: readonly Part[];
}

/** The last part of every program that makes a token: the token that it reads, and the choice of the next. */
export const firstToken = "first token";
export const reading = "read the bytes";
export const digest = "sha256 of the file";
/** Everything up to the first token, without the digest. */
export const all = "all";

/** Read by every program, whatever it may mean. */
export const promptToken = 1_000;

/** Runs and times one part. */
export async function part<T>(name: string, work: () => T | Promise<T>): Promise<readonly [Part, T]> {
  const processor = process.cpuUsage();
  const begin = performance.now();
  const value = await work();
  const wall = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(processor);
  return [{ name, wall, processor: (user + system) / 1e6 }, value];
}
