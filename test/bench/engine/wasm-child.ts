/** Our engine in Node, through the surface that the engine Worker uses (wasm/API.md). Arguments: package, GGUF, threads. See child-participant.ts. */
import { createInterface } from "node:readline";
import { loadEngine } from "../../../infra/node/engine-package.ts";
import { loadOverThreads } from "../../../infra/node/threads/load.ts";
import type { PackageName } from "../../../infra/node/package-surface.ts";
import { greedyParameters } from "../../../workers/contracts/engine.ts";
import type { Engine, EngineDescription, LoaderOptions } from "../../../workers/engine/engine-surface.ts";
import { defaultLimits } from "../../../workers/engine/scheduler-limits.ts";
import { planAlone, toPlan } from "../../../workers/engine/step-plan.ts";
import { timed } from "../timed.ts";
import type { Measurement, Task } from "./participant.ts";

/** Keys and values as in the Worker; all the memory that there can be. */
const options: LoaderOptions = { kvType: "int8", memoryLimitBytes: 4 * 1024 ** 3 - 65_536 };

const greedy = JSON.stringify(greedyParameters);

function measure(engine: Engine, { prompt, decode }: Task): Measurement {
  const sequence = engine.open(greedy);
  try {
    engine.feed(sequence, Uint32Array.from(prompt));
    const prefill = timed(() => {
      for (let position = 0; position < prompt.length;) {
        const candidate = { handle: sequence, position, pending: prompt.length - position };
        engine.step(toPlan([candidate], planAlone([candidate], defaultLimits.prefillTokensPerStep)));
        position = prompt.length - engine.pending(sequence);
      }
    });
    const tokens: number[] = [];
    const one = Uint32Array.of(sequence, 1);
    const decoding = timed(() => {
      for (let count = 0; count < decode; count += 1) {
        tokens.push((JSON.parse(engine.sample(sequence)) as { readonly id: number }).id);
        engine.step(one);
      }
    });
    return {
      prefillSeconds: prefill.wall,
      decodeSeconds: decoding.wall,
      prefillProcessorSeconds: prefill.processor,
      decodeProcessorSeconds: decoding.processor,
      tokens,
    };
  } finally {
    engine.close(sequence);
  }
}

const [packageName, model, threads = "1"] = process.argv.slice(2);
if (packageName === undefined || model === undefined) throw new Error("usage: wasm-child.ts PACKAGE MODEL.gguf [THREADS]");
const load = { ...options, package: packageName as PackageName };
const engine: Engine =
  threads === "1" ? await loadEngine(model, load) : (await loadOverThreads(model, { ...load, threads: Number(threads) })).engine;
const { kernel, contextLength } = JSON.parse(engine.describe()) as EngineDescription;
const description = `kernel ${kernel}, Node ${process.versions.node}, ${threads === "1" ? "one thread" : `${threads} threads`}, int8 keys and values, ${defaultLimits.prefillTokensPerStep} prompt tokens a step`;
console.log(JSON.stringify({ description, contextLength }));
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(measure(engine, JSON.parse(line) as Task)));
// Other threads wait for this one's next call.
process.exit();
