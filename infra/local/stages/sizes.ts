/** What parts of a GGUF take in an engine, which its header tells. */
import { createReadStream, readFileSync } from "node:fs";
import type { Cut } from "../../../workers/contracts/stages.ts";
import { initSync, ModelInspector } from "../../../wasm/pkg/simd128/spikingbrain.js";
import { inRepository } from "../paths.ts";
import { planStages, type CutModel, type PartSize, type PlanLimits } from "./plan.ts";

const chunkBytes = 1 << 20;
/** A pass where memory is short. */
const passTokens = 32;

export interface ModelSizes {
  readonly model: CutModel;
  readonly sizeOf: (cut: Cut) => PartSize;
}

/** `tokens`: how long the text is whose state counts. */
export async function sizesOf(path: string, tokens: number): Promise<ModelSizes> {
  initSync({ module: readFileSync(inRepository("wasm/pkg/simd128/spikingbrain_bg.wasm")) });
  const inspector = new ModelInspector();
  for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes })) if (inspector.push(chunk as Buffer)) break;
  const { layers, vocabulary, tied } = JSON.parse(inspector.describe(new Uint32Array())) as CutModel;
  const sizeOf = (cut: Cut): PartSize => JSON.parse(inspector.partSize(JSON.stringify(cut), passTokens, tokens)) as PartSize;
  return { model: { layers, vocabulary, tied }, sizeOf };
}

/** As Workers are given it (`workers/engine/variables.ts`): an isolate's memory less the JavaScript heap. */
export const isolateLimits: PlanLimits = { memoryBytes: 121 * 1024 * 1024, states: 1 };
/** The states that a plan makes room for. */
const plannedTokens = 4096;

/** How a model is cut; undefined where it fits in one isolate. */
export async function stagesOf(path: string, limits = isolateLimits): Promise<readonly Cut[] | undefined> {
  const { model, sizeOf } = await sizesOf(path, plannedTokens);
  return planStages(model, sizeOf, limits);
}
