/**
 * What an engine object promises of its model, kept beside it: to be listed and planned with, a model needs no weights in memory. A deployment whose
 * replicas do all the work loads them once, when it is first asked what they are, and not again in any isolate.
 */
import { abilities } from "../contracts/abilities.ts";
import type { ModelDescription } from "../contracts/engine.ts";
import type { ModelManifest } from "../contracts/model-files.ts";
import type { EngineSettings } from "./settings.ts";

type Storage = Pick<DurableObjectStorage, "get" | "put">;

const storageKey = "description";

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

/** Undefined where none is kept, it is of something else, or it cannot be read. */
export async function keptDescription(storage: Storage, of: string): Promise<ModelDescription | undefined> {
  try {
    const kept = await storage.get<KeptDescription>(storageKey);
    return kept?.of === of ? kept.description : undefined;
  } catch {
    return undefined;
  }
}

/** No reply waits for it. */
export async function keepDescription(storage: Storage, kept: KeptDescription): Promise<void> {
  await storage.put(storageKey, kept, { allowUnconfirmed: true });
}
