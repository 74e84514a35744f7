/** The model in memory and what this engine can promise of it. */
import type { ModelDescription } from "../contracts/engine.ts";
import { engineErrorCode, type Engine, type EngineDescription, type ModelLoader } from "./engine-surface.ts";
import { messageOf, modelInvalid } from "./failures.ts";
import type { Making } from "./once-per-isolate.ts";
import { loadWeights } from "./weights.ts";

export interface LoadedModel {
  readonly engine: Engine;
  readonly description: ModelDescription;
  /** A token that may begin a prompt, for the check that the engine works. */
  readonly firstToken: number;
}

export async function loadModel(files: Pick<Fetcher, "fetch">, createLoader: () => ModelLoader, making: Making): Promise<LoadedModel> {
  const loader = createLoader();
  let finished = false;
  making.onTakenOver(() => {
    loader.free();
    finished = true;
  });
  try {
    const { manifest, engine } = await loadWeights(files, loader, () => {
      making.alive();
    });
    finished = true;
    return describeModel(engine, manifest.id, manifest.sha256);
  } catch (error) {
    // Waiting helps nobody here: a model that does not fit never will.
    if (engineErrorCode(error) === "out_of_memory")
      throw modelInvalid(`the model does not fit in MEMORY_LIMIT_MIB: ${messageOf(error)}`, error);
    throw error;
  } finally {
    if (!finished) loader.free();
  }
}

function describeModel(engine: Engine, id: string, digest: string): LoadedModel {
  const { architecture, parameters, vocabularySize, contextLength, kernel, bosTokenId, spikes } = JSON.parse(
    engine.describe(),
  ) as EngineDescription;
  const held = tokensHeld(engine, contextLength);
  if (held < 1) throw modelInvalid(`the memory limit leaves ${String(engine.freeStateBytes())} bytes for state, less than one token takes`);
  return {
    engine,
    description: { id, digest, architecture, parameters, vocabularySize, contextLength: held, kernel, spikes },
    firstToken: bosTokenId ?? 0,
  };
}

/** The longest sequence, up to the model's own limit, whose state fits in what is free while nothing runs. */
export function tokensHeld(engine: Pick<Engine, "freeStateBytes" | "stateBytes">, contextLength: number): number {
  const free = engine.freeStateBytes();
  let fits = 0;
  let tooMany = contextLength + 1;
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (engine.stateBytes(middle) <= free) fits = middle;
    else tooMany = middle;
  }
  return fits;
}
