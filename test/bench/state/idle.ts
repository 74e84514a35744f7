/** Waits until the stack computes nothing any more, so that what one request leaves behind does not fall into the next. */
import { setTimeout as delay } from "node:timers/promises";
import { processorTime } from "../http/processor-time.ts";

const sampleMilliseconds = 100;
/** A state is on its way to the disk between two samples, seldom for so many. */
const idleSamples = 4;
/** The clock ticks in hundredths, and an idle runtime collects garbage now and then: one tick a sample is rest. */
const idleSeconds = 0.015;
const patienceMilliseconds = 120_000;
/** Where processor time cannot be read. */
const blindMilliseconds = 1_000;

/** @throws Error where it is still busy after two minutes. */
export async function untilIdle(url: string): Promise<void> {
  const deadline = performance.now() + patienceMilliseconds;
  let before = workersSeconds(url);
  if (before === null) await delay(blindMilliseconds);
  for (let quiet = 0; before !== null && quiet < idleSamples;) {
    if (performance.now() > deadline) throw new Error(`The Workers still compute ${patienceMilliseconds / 1000} s after the last request.`);
    await delay(sampleMilliseconds);
    const now: number | null = workersSeconds(url);
    quiet = now !== null && now - before < idleSeconds ? quiet + 1 : 0;
    before = now;
  }
}

const workersSeconds = (url: string): number | null => processorTime(url)?.workers ?? null;
