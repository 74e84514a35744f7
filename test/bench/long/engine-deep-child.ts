/**
 * Our engine behind texts of any length, without reading them. Arguments: package, GGUF, tokens to read. A state of constant size is the same bytes
 * behind any text that fills its windows but for the count of tokens, which is rewritten; see llama/deep_child.py for the other side.
 */
import { createInterface } from "node:readline";
import { loadEngine } from "../../../infra/node/engine-package.ts";
import type { PackageName } from "../../../infra/node/package-surface.ts";
import { greedyParameters } from "../../../workers/contracts/engine.ts";
import type { Engine, EngineDescription } from "../../../workers/engine/engine-surface.ts";
import { defaultLimits } from "../../../workers/engine/scheduler-limits.ts";
import { planAlone, toPlan } from "../../../workers/engine/step-plan.ts";
import { timed } from "../timed.ts";
import type { DeepMeasurement, DeepTask } from "./task.ts";

/** Of the count of tokens, in a state file's header (`wasm/STATE_FORMAT.md`). */
const positionByte = 104;
const chunkBytes = 65_536;
const firstToken = 1_000;

const parameters = JSON.stringify(greedyParameters);

/** Ids that no text needs to have. */
const text = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_unused, at) => firstToken + at);

function read(engine: Engine, sequence: number, count: number): void {
  engine.feed(sequence, text(count));
  for (let position = 0; position < count; position = count - engine.pending(sequence)) {
    const candidate = { handle: sequence, position, pending: count - position };
    engine.step(toPlan([candidate], planAlone([candidate], defaultLimits.prefillTokensPerStep)));
  }
}

function saved(engine: Engine, count: number): Uint8Array<ArrayBuffer> {
  const sequence = engine.open(parameters);
  read(engine, sequence, count);
  const file = new Uint8Array(engine.beginSave(sequence, 0, "{}"));
  for (let at = 0; at < file.length;) {
    const part = engine.readSaved(sequence, chunkBytes);
    file.set(part, at);
    at += part.length;
  }
  engine.endSave(sequence);
  engine.close(sequence);
  return file;
}

function restored(engine: Engine, file: Uint8Array, depth: number): number {
  const moved = file.slice();
  new DataView(moved.buffer).setBigUint64(positionByte, BigInt(depth), true);
  const sequence = engine.open(parameters);
  engine.beginRestore(sequence, new Uint32Array());
  for (let at = 0; at < moved.length; at += chunkBytes) engine.pushState(sequence, moved.subarray(at, at + chunkBytes));
  const tokens = engine.endRestore(sequence);
  if (tokens !== depth) throw new Error(`The state must be of ${depth} tokens; it is of ${tokens}.`);
  return sequence;
}

function measure(engine: Engine, file: Uint8Array, { depth, prefill, decode }: DeepTask): DeepMeasurement {
  const sequence = restored(engine, file, depth);
  try {
    const reading = timed(() => {
      read(engine, sequence, prefill);
    });
    const one = Uint32Array.of(sequence, 1);
    const decoding = timed(() => {
      for (let count = 0; count < decode; count += 1) {
        engine.sample(sequence);
        engine.step(one);
      }
    });
    return {
      prefillSeconds: reading.wall,
      prefillProcessorSeconds: reading.processor,
      decodeSeconds: decoding.wall,
      decodeProcessorSeconds: decoding.processor,
      memoryBytes: engine.memoryBytes(),
    };
  } finally {
    engine.close(sequence);
  }
}

const [packageName, model, tokens] = process.argv.slice(2);
if (packageName === undefined || model === undefined || tokens === undefined)
  throw new Error("usage: engine-deep-child.ts PACKAGE MODEL.gguf TOKENS");
const engine = await loadEngine(model, { package: packageName as PackageName, kvType: "int8", memoryLimitBytes: 4 * 1024 ** 3 - 65_536 });
const { kernel, constantState } = JSON.parse(engine.describe()) as EngineDescription;
if (!constantState) throw new Error(`${model} has no state of constant size.`);
const file = saved(engine, Number(tokens));
console.log(
  JSON.stringify({ description: `kernel ${kernel}, Node ${process.versions.node}, one thread, a state of ${file.length} bytes` }),
);
for await (const line of createInterface({ input: process.stdin }))
  console.log(JSON.stringify(measure(engine, file, JSON.parse(line) as DeepTask)));
