/** The model on its way from static assets into the engine. */
import { describeModel, type LoadedModel } from "./described-model.ts";
import { engineErrorCode, type LoaderOptions, type ModelLoader } from "./engine-surface.ts";
import { messageOf } from "../contracts/request/failures.ts";
import { modelInvalid } from "./failures.ts";
import type { Making } from "../waiting/once-per-isolate.ts";
import { loadWeights, readManifest } from "./weights.ts";

/** What the model's states belong to. */
export type ModelDigests = Required<Pick<LoaderOptions, "modelDigest" | "tokenizerDigest">>;

/** `requestTokens` bounds a request where the model's state has no bound of its own. */
export async function loadModel(
  files: Pick<Fetcher, "fetch">,
  createLoader: (digests: ModelDigests) => ModelLoader,
  requestTokens: number,
  making: Making,
): Promise<LoadedModel> {
  const manifest = await readManifest(files);
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
    return describeModel(engine, manifest, requestTokens);
  } catch (error) {
    // Waiting helps nobody here: a model that does not fit never will.
    if (engineErrorCode(error) === "out_of_memory")
      throw modelInvalid(`the model does not fit in MEMORY_LIMIT_MIB: ${messageOf(error)}`, error);
    throw error;
  } finally {
    if (!finished) loader.free();
  }
}
