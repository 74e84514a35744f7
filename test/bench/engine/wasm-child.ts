/** Our engine in Node, through the surface that the engine Worker uses (wasm/API.md). Arguments: package, GGUF, threads. See child-participant.ts. */
import { createInterface } from "node:readline";
import { loadEngine } from "../../../infra/node/engine-package.ts";
import { loadOverThreads } from "../../../infra/node/threads/load.ts";
import type { PackageName } from "../../../infra/node/package-surface.ts";
import type { Engine, EngineDescription, LoaderOptions } from "../../../workers/engine/engine-surface.ts";
import { defaultLimits } from "../../../workers/engine/scheduler-limits.ts";
import { timed } from "../timed.ts";
import { measureEngine } from "./measure-engine.ts";
import type { Measurement, Task } from "./participant.ts";

/** Keys and values as in the Worker; all the memory that there can be. */
const options: LoaderOptions = { kvType: "int8", memoryLimitBytes: 4 * 1024 ** 3 - 65_536 };

const [packageName, model, threads = "1"] = process.argv.slice(2);
if (packageName === undefined || model === undefined) throw new Error("usage: wasm-child.ts PACKAGE MODEL.gguf [THREADS]");
const load = { ...options, package: packageName as PackageName };
const engine: Engine =
  threads === "1" ? await loadEngine(model, load) : (await loadOverThreads(model, { ...load, threads: Number(threads) })).engine;
const { kernel, contextLength, weightBytes } = JSON.parse(engine.describe()) as EngineDescription;
const description = `kernel ${kernel}, Node ${process.versions.node}, ${threads === "1" ? "one thread" : `${threads} threads`}, int8 keys and values, ${defaultLimits.prefillTokensPerStep} prompt tokens a step`;
console.log(JSON.stringify({ description, contextLength }));
for await (const line of createInterface({ input: process.stdin })) {
  const measured = measureEngine(engine, JSON.parse(line) as Task, timed);
  // In kibibytes.
  const { maxRSS } = process.resourceUsage();
  console.log(JSON.stringify({ ...measured, residentBytes: maxRSS * 1024, weightBytes } satisfies Measurement));
}
// Other threads wait for this one's next call.
process.exit();
