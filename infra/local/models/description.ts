/**
 * What the engine promises of the model that set-up has prepared, so that it is listed and planned with before any isolate has loaded its weights:
 * `dist/engine/model/description.json`. A process of its own says it (`description.ts FOLDER GGUF`), as one instance of the engine holds one model.
 */
import { createReadStream, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ModelManifest } from "../../../workers/contracts/model-files.ts";
import { describeModel } from "../../../workers/engine/described-model.ts";
import { dependsOn, descriptionFile, type KeptDescription } from "../../../workers/engine/description-file.ts";
import { engineSettings } from "../../../workers/engine/variables.ts";
import { initSync, ModelLoader } from "../../../wasm/pkg/relaxed/spikingbrain.js";
import { inRepository } from "../paths.ts";
import { capture, isMain, reportFailure } from "../run.ts";

export const engineFile = inRepository("wasm/pkg/relaxed/spikingbrain_bg.wasm");
const chunkBytes = 1 << 20;

/**
 * Of the model whose manifest lies in `folder`, and whose file is at `path`. Where the engine can't load it here there is none, and the engine says
 * so when it is asked.
 */
export async function writeDescription(folder: string, path: string): Promise<void> {
  const { status } = await capture(process.execPath, ["--no-warnings", import.meta.filename, folder, path]);
  if (status !== 0 || !existsSync(join(folder, descriptionFile)))
    console.log("The engine can't describe the model without its Workers; whoever asks first what it is waits for its weights.");
}

/** As the engine Worker would with its committed variables. */
async function described(manifest: ModelManifest, path: string): Promise<KeptDescription> {
  const settings = engineSettings({});
  const { id, sha256: modelDigest, tokenizerSha256: tokenizerDigest, form } = manifest;
  initSync({ module: readFileSync(engineFile) });
  const loader = new ModelLoader(
    JSON.stringify({ kvType: "int8", memoryLimitBytes: settings.memoryLimitBytes, modelDigest, tokenizerDigest }),
  );
  for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes })) loader.push(chunk as Buffer);
  const { description } = describeModel(
    loader.finish(),
    { id, sha256: modelDigest, tokenizerSha256: tokenizerDigest, form },
    settings.requestTokens,
  );
  return { of: dependsOn(manifest, settings), description };
}

if (isMain(import.meta.url)) {
  try {
    const [folder = "", path = ""] = process.argv.slice(2);
    const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as ModelManifest;
    writeFileSync(join(folder, descriptionFile), JSON.stringify(await described(manifest, path)));
  } catch (error) {
    reportFailure(error);
  }
}
