/** The model on its way from static assets into the engine. */
import type { ModelManifest } from "../contracts/model-files.ts";
import { describeModel, type LoadedModel } from "./described-model.ts";
import { engineErrorCode, type Engine, type LoaderOptions, type ModelLoader, type PartEngine } from "./engine-surface.ts";
import { messageOf } from "../contracts/request/failures.ts";
import { modelInvalid } from "./failures.ts";
import type { Making } from "../waiting/once-per-isolate.ts";
import { loadWeights, readManifest, type ModelFiles } from "./weights.ts";

/** What the model's states belong to. */
export type ModelDigests = Required<Pick<LoaderOptions, "modelDigest" | "tokenizerDigest">>;

/** What lies in this isolate: the whole model, or the leading engine's part of it. */
export interface LoadedFile<E = PartEngine> {
  readonly engine: E;
  readonly manifest: ModelManifest;
}

/** `requestTokens` bounds a request where the model's state has no bound of its own. */
export async function loadModel<E extends Engine>(
  files: ModelFiles,
  createLoader: (digests: ModelDigests) => ModelLoader<E>,
  requestTokens: number,
  making: Making,
): Promise<LoadedModel> {
  const { engine, manifest } = await loadFile(files, createLoader, making);
  return describeModel(engine, manifest, requestTokens);
}

/** Of a model in stages the part of the engine that leads. */
export async function loadFile<E>(
  files: ModelFiles,
  createLoader: (options: ModelDigests & Pick<LoaderOptions, "cut">) => ModelLoader<E>,
  making: Making,
): Promise<LoadedFile<E>> {
  const manifest = await readManifest(files);
  const [cut] = manifest.stages ?? [];
  const create = (digests: ModelDigests): ModelLoader<E> => createLoader(cut === undefined ? digests : { ...digests, cut });
  return { engine: await loadPart(files, manifest, create, making), manifest };
}

/** What the loader was made to take of the model's file. */
export async function loadPart<E>(
  files: ModelFiles,
  manifest: ModelManifest,
  createLoader: (digests: ModelDigests) => ModelLoader<E>,
  making: Making,
): Promise<E> {
  making.alive();
  const loader = createLoader({ modelDigest: manifest.sha256, tokenizerDigest: manifest.tokenizerSha256 });
  let finished = false;
  making.onTakenOver(() => {
    loader.free();
    finished = true;
  });
  try {
    const engine = await loadWeights(files, manifest, loader, () => {
      making.alive();
    });
    finished = true;
    return engine;
  } catch (error) {
    // Waiting helps nobody here: a model that does not fit never will.
    if (engineErrorCode(error) === "out_of_memory")
      throw modelInvalid(`the model does not fit in MEMORY_LIMIT_MIB: ${messageOf(error)}`, error);
    throw error;
  } finally {
    if (!finished) loader.free();
  }
}
