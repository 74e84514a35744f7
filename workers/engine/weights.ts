/** Streams the model from static assets into the engine: at no time is more than one chunk of it in the JavaScript heap. */
import { toHex } from "../encoding/hex.ts";
import type { ModelManifest, ModelShard } from "../contracts/model-files.ts";
import { ServiceError } from "../contracts/errors.ts";
import { newDigest } from "./digest.ts";
import type { ModelLoader } from "./engine-surface.ts";
import { engineUnavailable, modelInvalid } from "./failures.ts";

/** The assets binding answers any host; only the path counts. */
const modelAddress = "https://model-files.invalid/model/";

/** Where a model's files come from. */
export interface ModelFiles {
  fetch(address: string): Promise<Response>;
  /** Whether it hands out no byte of a shard whose digest it has not compared with the manifest's; each is compared here where it is left out. */
  readonly areChecked?: boolean;
}

export async function readManifest(files: ModelFiles): Promise<ModelManifest> {
  return parseManifest(await readText(files, "manifest.json"));
}

/** A file beside the manifest. @throws ServiceError where it can't be read. */
export async function readText(files: ModelFiles, file: string): Promise<string> {
  return await (await open(files, file)).text();
}

/** `onProgress` is called before the loader is touched, with every chunk, and may throw to give up. */
export async function loadWeights<E>(
  files: ModelFiles,
  { shards }: Pick<ModelManifest, "shards">,
  loader: ModelLoader<E>,
  onProgress: () => void,
): Promise<E> {
  let at = 0;
  for (const shard of shards) {
    at += shard.bytes;
    // Nothing of it belongs to the part of the model that is loaded.
    if (loader.neededFrom() >= at) loader.skip(shard.bytes);
    else await loadShard(files, shard, loader, onProgress);
  }
  onProgress();
  return loader.finish();
}

async function loadShard(files: ModelFiles, shard: ModelShard, loader: Pick<ModelLoader, "push">, onProgress: () => void): Promise<void> {
  const { body } = await open(files, shard.file);
  if (body === null) throw fileInvalid(`${shard.file} is empty; it must have ${String(shard.bytes)} bytes`);
  const digest = files.areChecked === true ? undefined : newDigest();
  let bytes = 0;
  for await (const chunk of body as ReadableStream<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > shard.bytes) break;
    await digest?.write(chunk);
    onProgress();
    loader.push(chunk);
  }
  if (bytes !== shard.bytes) {
    throw fileInvalid(`${shard.file} must have ${String(shard.bytes)} bytes; it has ${bytes > shard.bytes ? "more" : String(bytes)}`);
  }
  if (digest === undefined) return;
  const actual = toHex(await digest.end());
  if (actual !== shard.sha256) throw fileInvalid(`${shard.file} must have sha256 ${shard.sha256}; it has ${actual}`);
}

async function open(files: ModelFiles, file: string): Promise<Response> {
  const response = await files.fetch(modelAddress + encodeURIComponent(file));
  if (response.ok) return response;
  await response.body?.cancel();
  if (response.status === 404) throw fileInvalid(`${file} is missing`);
  throw new ServiceError(engineUnavailable(`${file} could not be read: status ${String(response.status)}`));
}

/** The manifest is written by this project's own set-up and deployed with the Worker, so only its outline is checked. */
function parseManifest(text: string): ModelManifest {
  let manifest: Partial<ModelManifest>;
  try {
    manifest = JSON.parse(text) as Partial<ModelManifest>;
  } catch (cause) {
    throw fileInvalid("manifest.json is not JSON", cause);
  }
  if (typeof manifest.id !== "string") throw fileInvalid("manifest.json: id must be a string");
  if (typeof manifest.sha256 !== "string") throw fileInvalid("manifest.json: sha256 must be a string");
  if (typeof manifest.tokenizerSha256 !== "string") throw fileInvalid("manifest.json: tokenizerSha256 must be a string");
  if (!Array.isArray(manifest.shards) || manifest.shards.length === 0) throw fileInvalid("manifest.json: shards must be a list of files");
  if (typeof manifest.form !== "object") throw fileInvalid("manifest.json: form must say how the model mixes tokens");
  return manifest as ModelManifest;
}

/** Every file of the model is written by one command, which is what helps whatever is wrong with one. */
function fileInvalid(what: string, cause?: unknown): ServiceError {
  return modelInvalid(`the model is not installed: ${what}; \`npm run setup:model\` writes it`, cause);
}
