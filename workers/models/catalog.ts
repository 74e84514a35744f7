/** The models that this deployment knows, from the static assets that set-up wrote: an index, and a card of each. */
import { brokenAnswer, unreachable } from "../contracts/call.ts";
import { ServiceError } from "../contracts/errors.ts";
import type { ModelCard, ModelIndex, ModelIndexEntry } from "../contracts/model-files.ts";
import { oncePerKey } from "../waiting/once-per-isolate.ts";
import { fileInvalid, modelNotFound } from "./failures.ts";

/** Where the files lie. */
export interface ModelAssets {
  readonly ASSETS: { fetch(url: string): Promise<Response> };
}

export interface CatalogEntry extends Pick<ModelIndexEntry, "tokenizer"> {
  readonly card: ModelCard;
}

const indexPath = "/models.json";

const modelIndex = oncePerKey(async (environment: ModelAssets, path): Promise<ModelIndex> => await readAsset(environment, path), 1);

/** Cards are small: one of every model stays. */
const cardAt = oncePerKey(
  async (environment: ModelAssets, path: string) => await readAsset<ModelCard>(environment, `${path}manifest.json`),
  Number.POSITIVE_INFINITY,
);

/** All of them, the one that answers unnamed requests first. */
export async function catalog(environment: ModelAssets): Promise<readonly CatalogEntry[]> {
  const { models } = await modelIndex(environment, indexPath);
  return await Promise.all(models.map((entry) => withCard(environment, entry)));
}

/** That of this id, or the first where none is named. @throws ServiceError `model_not_found`. */
export async function entryNamed(environment: ModelAssets, id?: string | null): Promise<CatalogEntry> {
  const { models } = await modelIndex(environment, indexPath);
  const entry = id === undefined || id === null ? models[0] : models.find((one) => one.id === id);
  if (entry !== undefined) return await withCard(environment, entry);
  const ids = models.map((one) => one.id);
  throw new ServiceError(modelNotFound(id ?? "", ids));
}

async function withCard(environment: ModelAssets, { path, tokenizer }: ModelIndexEntry): Promise<CatalogEntry> {
  return { card: await cardAt(environment, path), tokenizer };
}

/** @throws ServiceError that names the file. */
export async function readAsset<T>(environment: ModelAssets, path: string): Promise<T> {
  const response = await environment.ASSETS.fetch(`https://assets.invalid${path}`).catch((cause: unknown) => {
    throw new ServiceError(unreachable("assets"), { cause });
  });
  if (!response.ok) {
    await response.body?.cancel();
    if (response.status === 404) throw fileInvalid(path, "is missing");
    throw new ServiceError(brokenAnswer("assets", `${path} could not be read: status ${String(response.status)}.`));
  }
  const text = await response.text();
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw fileInvalid(path, "is not JSON", cause);
  }
}
