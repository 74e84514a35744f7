/** Waits until the stack computes nothing any more, so that what one request leaves behind does not fall into the next. */
import { pause, until } from "../../../workers/waiting/within.ts";
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
  let before = workersSeconds(url);
  if (before === null) {
    await pause(blindMilliseconds);
    return;
  }
  let quiet = 0;
  const look = (): true | undefined => {
    const now = workersSeconds(url);
    if (now === null || before === null) return true;
    quiet = now - before < idleSeconds ? quiet + 1 : 0;
    before = now;
    return quiet === idleSamples ? true : undefined;
  };
  await pause(sampleMilliseconds);
  await until(look, { milliseconds: patienceMilliseconds, everyMilliseconds: sampleMilliseconds }, () => {
    throw new Error(`The Workers still compute ${patienceMilliseconds / 1000} s after the last request.`);
  });
}

const workersSeconds = (url: string): number | null => processorTime(url)?.workers ?? null;
