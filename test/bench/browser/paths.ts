/** What the server of these pages has under which path. */
export const codePath = "/engine/spikingbrain_bg.wasm";
export const modelPath = "/model.gguf";
export const engineWorkerPath = "/engine/worker.js";
export const wllamaPath = "/wllama/";
export const compatiblePath = "/wllama-compat/";
