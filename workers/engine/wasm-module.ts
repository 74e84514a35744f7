/**
 * The engine's code. One module with relaxed SIMD, because workerd has it everywhere; Workers may not compile WASM at run time, so the
 * choice is made when the Worker is bundled. Instantiated once per isolate, as wasm-bindgen's glue allows no second instance.
 */
import { initSync, ModelLoader as BoundModelLoader } from "../../wasm/pkg/relaxed/spikingbrain.js";
import compiled from "../../wasm/pkg/relaxed/spikingbrain_bg.wasm";
import type { LoaderOptions, ModelLoader } from "./engine-surface.ts";

export function createModelLoader(options: LoaderOptions): ModelLoader {
  initSync({ module: compiled });
  return new BoundModelLoader(JSON.stringify(options));
}
