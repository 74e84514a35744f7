/**
 * What a start of the engine Worker takes, told from a Worker beside it: `/first` lets it load its model and make one token, `/read` reads the same
 * files into a fresh linear memory and does nothing with them, `/digest` makes each file's digest meanwhile, as the engine Worker does.
 */
import type { GenerationBackend } from "../../../workers/contracts/engine.ts";
import type { ModelManifest } from "../../../workers/contracts/model-files.ts";
import { loadWeights, readManifest } from "../../../workers/engine/weights.ts";

interface StartEnvironment {
  readonly MODEL_FILES: Fetcher;
  readonly ENGINE: Pick<GenerationBackend, "ready">;
}

const pageBytes = 65_536;

/** Bytes that have been read. */
async function readFiles(files: Fetcher, areChecked: boolean): Promise<number> {
  const { shards, bytes }: ModelManifest = await readManifest(files);
  const memory = new Uint8Array(new WebAssembly.Memory({ initial: Math.ceil(bytes / pageBytes) }).buffer);
  let at = 0;
  const loader = {
    push(chunk: Uint8Array) {
      memory.set(chunk, at);
      at += chunk.byteLength;
    },
    neededFrom: () => 0,
    skip: () => undefined,
    finish: () => at,
    free: () => undefined,
  };
  return await loadWeights({ fetch: (address) => files.fetch(address), areChecked }, { shards }, loader, () => undefined);
}

export default {
  async fetch(request, { MODEL_FILES, ENGINE }): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case "/first":
        return Response.json(await ENGINE.ready());
      case "/read":
        return Response.json(await readFiles(MODEL_FILES, true));
      case "/digest":
        return Response.json(await readFiles(MODEL_FILES, false));
      default:
        return new Response("ready\n", { headers: { "x-spikingbrain-start": "" } });
    }
  },
} satisfies ExportedHandler<StartEnvironment>;
