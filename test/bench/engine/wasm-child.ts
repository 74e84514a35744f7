/** Our engine in Node, through the surface that the engine Worker uses (wasm/API.md). Arguments: package, GGUF. See child-participant.ts. */
import { createInterface } from "node:readline";
import { loadEngine } from "../../../infra/node/engine-package.ts";
import type { PackageName } from "../../../infra/node/package-surface.ts";
import type { Engine } from "../../../wasm/pkg/relaxed/spikingbrain.js";
import { greedyParameters } from "../../../workers/contracts/engine.ts";
import type { EngineDescription, LoaderOptions } from "../../../workers/engine/engine-surface.ts";
import { defaultLimits } from "../../../workers/engine/scheduler-limits.ts";
import { planAlone, toPlan } from "../../../workers/engine/step-plan.ts";
import { timed } from "../timed.ts";
import type { Measurement, Task } from "./participant.ts";

/** Keys and values as in the Worker; memory for every context of the suite, which the Worker's 112 MiB are not. */
const options: LoaderOptions = { kvType: "int8", memoryLimitBytes: 1024 ** 3 };

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

const [packageName, model] = process.argv.slice(2);
if (packageName === undefined || model === undefined) throw new Error("usage: wasm-child.ts PACKAGE MODEL.gguf");
const engine = await loadEngine(model, { ...options, package: packageName as PackageName });
const { kernel, contextLength } = JSON.parse(engine.describe()) as EngineDescription;
const description = `kernel ${kernel}, Node ${process.versions.node}, one thread, int8 keys and values, ${defaultLimits.prefillTokensPerStep} prompt tokens a step`;
console.log(JSON.stringify({ description, contextLength }));
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(measure(engine, JSON.parse(line) as Task)));
