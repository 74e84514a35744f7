/** What a program of this suite tells: it starts once, in a process of its own, and ends. */

import { setTimeout } from "node:timers/promises";

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

/** A process that does nothing for so long, several times running, has nothing left to do. */
const idleWindows = 4;
const idleMilliseconds = 25;
const idleProcessorMilliseconds = 1;

/**
 * Waits until V8 has compiled, in threads of its own, what loading the modules has made it compile: first of all the program that takes the types out
 * of TypeScript, which costs a third of an engine's whole start and is none of it.
 */
export async function idle(): Promise<void> {
  for (let windows = 0; windows < idleWindows;) {
    const before = process.cpuUsage();
    await setTimeout(idleMilliseconds);
    const { user, system } = process.cpuUsage(before);
    windows = user + system < idleProcessorMilliseconds * 1000 ? windows + 1 : 0;
  }
}

/** Runs and times one part. */
export async function part<T>(name: string, work: () => T | Promise<T>): Promise<readonly [Part, T]> {
  const processor = process.cpuUsage();
  const begin = performance.now();
  const value = await work();
  const wall = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(processor);
  return [{ name, wall, processor: (user + system) / 1e6 }, value];
}
