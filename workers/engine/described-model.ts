/** The model in memory and what this engine can promise of it. */
import { abilities } from "../contracts/abilities.ts";
import { greedyParameters, type ModelDescription } from "../contracts/engine.ts";
import type { ModelForm, ModelManifest } from "../contracts/model-files.ts";
import type { ComputingEngine, EngineDescription } from "./engine-surface.ts";
import { modelInvalid } from "./failures.ts";

export interface LoadedModel {
  readonly engine: ComputingEngine;
  readonly description: ModelDescription;
  /** A token that may begin a prompt, for the check that the engine works. */
  readonly firstToken: number;
}

export function describeModel(
  engine: ComputingEngine,
  { id, sha256, tokenizerSha256, form }: Pick<ModelManifest, "id" | "sha256" | "tokenizerSha256" | "form">,
  requestTokens: number,
): LoadedModel {
  const facts = JSON.parse(engine.describe()) as EngineDescription;
  const { architecture, parameters, vocabularySize, kernel, bosTokenId, spikes, kvType } = facts;
  const fullBytes = engine.stateBytes(farTokens);
  // Where not even one full state fits, memory is the bound after all.
  const constant = facts.constantState && fullBytes <= engine.freeStateBytes();
  const contextLength = tokensHeld(engine, constant ? requestTokens : facts.contextLength);
  if (contextLength < 1)
    throw modelInvalid(`the memory limit leaves ${String(engine.freeStateBytes())} bytes for state, less than one token takes`);
  const state = {
    bytes: constant ? fullBytes : engine.stateBytes(contextLength),
    constant,
    keysAndValues: kvType,
    fullAttentionBytesPerToken: fullAttentionBytesPerToken(form, kvType),
  };
  return {
    engine,
    description: {
      id,
      digest: sha256,
      tokenizerDigest: tokenizerSha256,
      architecture,
      parameters,
      vocabularySize,
      contextLength,
      abilities,
      kernel,
      spikes,
      state,
    },
    firstToken: bosTokenId ?? 0,
  };
}

/** The check that the engine works. */
export async function produceOneToken({ engine, firstToken }: LoadedModel): Promise<void> {
  const sequence = engine.open(JSON.stringify(greedyParameters));
  try {
    engine.feed(sequence, Uint32Array.of(firstToken));
    await engine.step(Uint32Array.of(sequence, 1));
    engine.sample(sequence);
  } finally {
    engine.close(sequence);
  }
}

/** Far beyond every window. */
const farTokens = 2 ** 30;

/** Keys and values of one token in every layer: int8 has one f32 scale for each head's key and for its value. */
export function fullAttentionBytesPerToken({ layers, kvHeads, headDim }: ModelForm, kvType: "int8" | "f32"): number {
  const layerCount = layers.reduce((total, { count }) => total + count, 0);
  return layerCount * kvHeads * 2 * (kvType === "int8" ? headDim + 4 : 4 * headDim);
}

/** A token's id, which the engine keeps beside the state, and once more while a prompt crosses into its memory. */
const idBytesPerToken = 8;

/** The longest sequence of at most so many tokens whose state and ids fit in what is free while nothing runs. */
export function tokensHeld(engine: Pick<ComputingEngine, "freeStateBytes" | "stateBytes">, most: number): number {
  const free = engine.freeStateBytes();
  let fits = 0;
  let tooMany = most + 1;
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (engine.stateBytes(middle) + idBytesPerToken * middle <= free) fits = middle;
    else tooMany = middle;
  }
  return fits;
}
