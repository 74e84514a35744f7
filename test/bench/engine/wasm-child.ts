/** Our engine in Node, through the surface that the engine Worker uses (wasm/API.md). Arguments: package, GGUF. See child-participant.ts. */
import { createReadStream, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { inRepository } from "../../../infra/local/paths.ts";
import type { Engine, EngineDescription, LoaderOptions } from "../../../workers/engine/engine-surface.ts";
import { defaultLimits } from "../../../workers/engine/scheduler-limits.ts";
import { planStep } from "../../../workers/engine/step-plan.ts";
import type { Measurement, Task } from "./participant.ts";

/** Keys and values as in the Worker; memory for every context of the suite, which the Worker's 112 MiB are not. */
const options: LoaderOptions = { kvType: "int8", memoryLimitBytes: 1024 ** 3 };

const greedy = JSON.stringify({
  sampling: {
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    logitBias: [],
    seed: 0,
  },
  minTokens: 0,
  stopTokens: [],
  topLogprobs: null,
  promptLogprobs: null,
});

async function load(packageName: string, model: string): Promise<Engine> {
  const directory = inRepository("wasm/pkg", packageName);
  const { initSync, ModelLoader } = (await import(
    `${directory}/spikingbrain.js`
  )) as typeof import("../../../wasm/pkg/relaxed/spikingbrain.js");
  initSync({ module: readFileSync(`${directory}/spikingbrain_bg.wasm`) });
  const loader = new ModelLoader(JSON.stringify(options));
  for await (const chunk of createReadStream(model, { highWaterMark: 1 << 20 })) loader.push(chunk as Buffer);
  return loader.finish();
}

function measure(engine: Engine, { prompt, decode }: Task): Measurement {
  const sequence = engine.open(greedy);
  try {
    engine.feed(sequence, Uint32Array.from(prompt));
    const prefill = timed(() => {
      for (let position = 0; position < prompt.length;) {
        const entry = { handle: sequence, position, pending: prompt.length - position };
        engine.step(planStep([entry], defaultLimits.prefillTokensPerStep));
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

/** Seconds. */
function timed(work: () => void): { readonly wall: number; readonly processor: number } {
  const processor = process.cpuUsage();
  const begin = performance.now();
  work();
  const wall = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(processor);
  return { wall, processor: (user + system) / 1e6 };
}

const [packageName, model] = process.argv.slice(2);
if (packageName === undefined || model === undefined) throw new Error("usage: wasm-child.ts PACKAGE MODEL.gguf");
const engine = await load(packageName, model);
const { kernel, contextLength } = JSON.parse(engine.describe()) as EngineDescription;
const description = `kernel ${kernel}, Node ${process.versions.node}, one thread, int8 keys and values, ${defaultLimits.prefillTokensPerStep} prompt tokens a step`;
console.log(JSON.stringify({ description, contextLength }));
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(measure(engine, JSON.parse(line) as Task)));
