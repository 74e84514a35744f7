/** Our engine in a Worker of a bare page: loads what it is told, answers one task a message. Bundled by `server.ts`. */
import { initSync, ModelLoader } from "../../../wasm/pkg/relaxed/spikingbrain.js";
import { measureEngine } from "../engine/measure-engine.ts";
import type { Measurement, Task } from "../engine/participant.ts";
import { codePath, modelPath } from "./paths.ts";

/** What of a Worker's scope this script uses; the compiler takes it for one of Node's. */
const scope = globalThis as unknown as {
  onmessage: ((event: { readonly data: Task }) => void) | null;
  postMessage(message: "ready" | Measurement): void;
};

const bytesOf = async (path: string): Promise<ArrayBuffer> => await (await fetch(path)).arrayBuffer();

const wall = (work: () => void) => {
  const begin = performance.now();
  work();
  return { wall: (performance.now() - begin) / 1000, processor: null };
};

initSync({ module: await bytesOf(codePath) });
const loader = new ModelLoader(JSON.stringify({ kvType: "int8", memoryLimitBytes: 2 ** 30 }));
loader.push(new Uint8Array(await bytesOf(modelPath)));
const engine = loader.finish();
scope.onmessage = ({ data }) => {
  scope.postMessage(measureEngine(engine, data, wall));
};
scope.postMessage("ready");
