/** What an engine with an isolate's memory says of a whole model. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { inRepository } from "../../../infra/local/paths.ts";
import { isolateLimits } from "../../../infra/local/stages/sizes.ts";
import { initSync, ModelLoader } from "../../../wasm/pkg/simd128/spikingbrain.js";
import { engineErrorCode } from "../../../workers/engine/engine-surface.ts";

const chunkBytes = 1 << 20;

/** @throws Error where it holds the model */
export function refusalOfWhole(path: string): string {
  initSync({ module: readFileSync(inRepository("wasm/pkg/simd128/spikingbrain_bg.wasm")) });
  const loader = new ModelLoader(JSON.stringify({ kvType: "int8", memoryLimitBytes: isolateLimits.memoryBytes }));
  const file = openSync(path, "r");
  try {
    const chunk = new Uint8Array(chunkBytes);
    for (let bytes = readSync(file, chunk); bytes > 0; bytes = readSync(file, chunk)) loader.push(chunk.subarray(0, bytes));
  } catch (error) {
    if (engineErrorCode(error) === "out_of_memory" && error instanceof Error) return error.message;
    throw error;
  } finally {
    closeSync(file);
  }
  throw new Error(`${path} fits in one isolate`);
}
