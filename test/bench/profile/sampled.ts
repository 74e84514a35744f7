/** Where the time of synchronous work goes, by V8's own sampling profiler. */
import { Session } from "node:inspector/promises";
import { operationOf } from "./operations.ts";

const intervalMicroseconds = 250;

/** Shares of the samples by operation, which add up to one. */
export async function sharesOf(work: () => void): Promise<ReadonlyMap<string, number>> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: intervalMicroseconds });
    await session.post("Profiler.start");
    work();
    const { profile } = await session.post("Profiler.stop");
    const functions = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame.functionName]));
    const times = new Map<string, number>();
    let total = 0;
    (profile.samples ?? []).forEach((node, index) => {
      const microseconds = profile.timeDeltas?.[index] ?? 0;
      const operation = operationOf(functions.get(node) ?? "");
      times.set(operation, (times.get(operation) ?? 0) + microseconds);
      total += microseconds;
    });
    return new Map([...times].map(([operation, time]) => [operation, time / total]));
  } finally {
    session.disconnect();
  }
}
