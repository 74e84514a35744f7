/** The engine's code: the fastest build that this browser validates. */
import { initSync, ModelInspector, ModelLoader as BoundModelLoader } from "../../../wasm/pkg/relaxed/spikingbrain.js";
import relaxed from "../../../wasm/pkg/relaxed/spikingbrain_bg.wasm";
import simd128 from "../../../wasm/pkg/simd128/spikingbrain_bg.wasm";
import type { LoaderOptions, ModelLoader, RankEngine, RankExchange } from "../../engine/engine-surface.ts";
import { DeviceError } from "./failures.ts";

/** The fastest first. Both builds have the same glue. */
const builds = [relaxed, simd128];

/** The code in this thread, and what other threads take of it. */
export interface EnginePackage {
  readonly module: WebAssembly.Module;
  createLoader(options: LoaderOptions): ModelLoader;
  /** Of the first of several ranks. */
  createRankLoader(options: LoaderOptions, exchange: RankExchange): ModelLoader<RankEngine>;
  createInspector(): Pick<ModelInspector, "push" | "describe" | "free">;
  /** The linear memory as it is now. */
  buffer(): ArrayBuffer;
}

/** @throws DeviceError `simd` where the browser runs neither. */
export async function enginePackage(): Promise<EnginePackage> {
  for (const path of builds) {
    const bytes = await codeAt(path);
    if (!WebAssembly.validate(bytes)) continue;
    const module = await WebAssembly.compile(bytes);
    const { memory } = initSync({ module });
    return {
      module,
      createLoader: (options) => new BoundModelLoader(JSON.stringify(options)),
      createRankLoader: (options, exchange) => new BoundModelLoader(JSON.stringify(options), exchange),
      createInspector: () => new ModelInspector(),
      buffer: () => memory.buffer,
    };
  }
  throw new DeviceError("simd", "This browser validates neither build of the engine: it needs WebAssembly with SIMD.");
}

async function codeAt(path: string): Promise<ArrayBuffer> {
  const response = await fetch(path).catch((cause: unknown) => {
    throw new DeviceError("network", `${path} could not be reached.`, { cause });
  });
  if (!response.ok) throw new DeviceError("network", `${path} was answered with status ${String(response.status)}.`);
  return await response.arrayBuffer();
}
