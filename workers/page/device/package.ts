/** The engine's code: the fastest build that this browser validates. */
import { initSync, ModelLoader as BoundModelLoader } from "../../../wasm/pkg/relaxed/spikingbrain.js";
import relaxed from "../../../wasm/pkg/relaxed/spikingbrain_bg.wasm";
import simd128 from "../../../wasm/pkg/simd128/spikingbrain_bg.wasm";
import type { LoaderOptions, ModelLoader } from "../../engine/engine-surface.ts";
import { DeviceError } from "./failures.ts";

/** The fastest first. Both builds have the same glue. */
const builds = [relaxed, simd128];

/** @throws DeviceError `simd` where the browser runs neither. */
export async function enginePackage(): Promise<(options: LoaderOptions) => ModelLoader> {
  for (const path of builds) {
    const bytes = await codeAt(path);
    if (!WebAssembly.validate(bytes)) continue;
    initSync({ module: await WebAssembly.compile(bytes) });
    return (options) => new BoundModelLoader(JSON.stringify(options));
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
