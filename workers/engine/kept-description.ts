/**
 * What an engine object promises of its model, kept beside it: to be listed and planned with, a model needs no weights in memory. Set-up writes it
 * for the engine's committed variables; under others the weights are loaded once, when it is first asked what they are, and not again in any isolate.
 */
import type { ModelDescription } from "../contracts/engine.ts";
import { descriptionFile, type KeptDescription } from "./description-file.ts";
import { readText } from "./weights.ts";

type Storage = Pick<DurableObjectStorage, "get" | "put">;

const storageKey = "description";

/** Undefined where none is kept, it is of something else, or it cannot be read. */
export async function keptDescription(storage: Storage, of: string): Promise<ModelDescription | undefined> {
  try {
    const kept = await storage.get<KeptDescription>(storageKey);
    return kept?.of === of ? kept.description : undefined;
  } catch {
    return undefined;
  }
}

/** What set-up has written beside the model's files; undefined where that is nothing, or of something else. */
export async function writtenDescription(files: Pick<Fetcher, "fetch">, of: string): Promise<ModelDescription | undefined> {
  try {
    const written = JSON.parse(await readText(files, descriptionFile)) as KeptDescription;
    return written.of === of ? written.description : undefined;
  } catch {
    return undefined;
  }
}

/** No reply waits for it. */
export async function keepDescription(storage: Storage, kept: KeptDescription): Promise<void> {
  await storage.put(storageKey, kept, { allowUnconfirmed: true });
}
