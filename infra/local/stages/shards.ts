/** Which of a model's files each stage reads, so that its Worker is given those and no others. */
import { createReadStream, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Readable } from "node:stream";
import type { ModelManifest } from "../../../workers/contracts/model-files.ts";
import type { Cut } from "../../../workers/contracts/stages.ts";
import { loadWeights, type ModelFiles } from "../../../workers/engine/weights.ts";
import { initSync, ModelLoader } from "../../../wasm/pkg/simd128/spikingbrain.js";
import { inRepository } from "../paths.ts";

/**
 * Names of the shards in `folder` that an engine with each of these parts reads, in file order. They are found by reading them, as its Worker will:
 * what the engine needs of a file is its own to decide.
 */
export async function shardsOfStages(
  folder: string,
  shards: ModelManifest["shards"],
  stages: readonly Cut[],
): Promise<readonly (readonly string[])[]> {
  initSync({ module: readFileSync(inRepository("wasm/pkg/simd128/spikingbrain_bg.wasm")) });
  const found: string[][] = [];
  for (const cut of stages) found.push(await shardsOfPart(folder, shards, cut));
  return found;
}

async function shardsOfPart(folder: string, shards: ModelManifest["shards"], cut: Cut): Promise<string[]> {
  const read: string[] = [];
  const files: ModelFiles = {
    // Whoever wrote them has their digests from what it wrote.
    areChecked: true,
    fetch: (address) => {
      const file = basename(new URL(address).pathname);
      read.push(file);
      return Promise.resolve(new Response(Readable.toWeb(createReadStream(join(folder, file))) as ReadableStream));
    },
  };
  const loader = new ModelLoader(JSON.stringify({ kvType: "int8", cut }));
  try {
    const reading = {
      neededFrom: () => loader.neededFrom(),
      skip: (bytes: number) => {
        loader.skip(bytes);
      },
      push: (chunk: Uint8Array) => {
        loader.push(chunk);
      },
      finish: () => undefined,
      free: () => undefined,
    };
    await loadWeights(files, { shards }, reading, () => undefined);
    return read;
  } finally {
    loader.free();
  }
}
