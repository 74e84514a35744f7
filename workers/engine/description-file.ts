/** A model's description with what it is of, as it is kept beside an object and as set-up writes it beside the model's files. */
import { abilities } from "../contracts/abilities.ts";
import type { ModelDescription } from "../contracts/engine.ts";
import type { ModelManifest } from "../contracts/model-files.ts";
import type { EngineSettings } from "./variables.ts";

/** Beside the manifest. */
export const descriptionFile = "description.json";

export interface KeptDescription {
  /** Of all that it depends on. */
  readonly of: string;
  readonly description: ModelDescription;
}

/** The files, the variables, and what this version of the engine can. */
export function dependsOn(
  { id, sha256, tokenizerSha256, form, contextLength, stages }: ModelManifest,
  { memoryLimitBytes, requestTokens, spikes }: EngineSettings,
): string {
  return JSON.stringify([
    id,
    sha256,
    tokenizerSha256,
    form,
    contextLength,
    memoryLimitBytes,
    requestTokens,
    spikes ?? null,
    abilities,
    stages ?? null,
  ]);
}
