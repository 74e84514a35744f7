/** Models as Workers that make or read text know them: card, tokenizer and chat template, by id, from the static assets that set-up wrote. */
import { brokenAnswer, unreachable } from "../contracts/call.ts";
import type { ModelVersion } from "../contracts/engine.ts";
import type { ModelIndex, ModelIndexEntry, ModelManifest, TokenizerFile } from "../contracts/model-files.ts";
import { ServiceError, type ServiceFailure } from "../contracts/errors.ts";
import { ChatTemplate } from "../tokenizer/chat-template.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { oncePerKey } from "../waiting/once-per-isolate.ts";

export interface ServedModel {
  readonly card: ModelManifest;
  /** What its tokens, states and streams belong to. */
  readonly version: ModelVersion;
  readonly tokenizer: Tokenizer;
  /** Null for a model that only completes text. */
  readonly chatTemplate: ChatTemplate | null;
  /** Ids that end a turn. */
  readonly stopTokens: readonly number[];
  /** Put before raw prompts, for models that were trained so. */
  readonly firstToken: number | null;
}

/** Where the files lie: `/models.json` names a folder for each model. */
export interface ModelAssets {
  readonly ASSETS: { fetch(url: string): Promise<Response> };
}

const indexPath = "/models.json";
/** Tokenizers of large vocabularies take some 30 MB each of an isolate's 128. */
const modelsAtHand = 2;

const modelIndex = oncePerKey(async (environment: ModelAssets, path): Promise<ModelIndex> => await readAsset(environment, path), 1);

const modelAt = oncePerKey(async (environment: ModelAssets, path: string): Promise<ServedModel> => {
  const card = await readAsset<ModelManifest>(environment, `${path}manifest.json`);
  const file = await readAsset<TokenizerFile>(environment, `${path}tokenizer.json`);
  const tokenizer = Tokenizer.fromTokenizerFile(file);
  return {
    card,
    version: { id: card.id, digest: card.sha256, tokenizerDigest: card.tokenizerSha256 },
    tokenizer,
    chatTemplate: file.chatTemplate === null ? null : new ChatTemplate(file.chatTemplate, tokenizer),
    stopTokens: file.eosTokenIds,
    firstToken: file.addBosToken ? file.bosTokenId : null,
  };
}, modelsAtHand);

/** Cards are small: one of every model stays. */
const cardAt = oncePerKey(
  async (environment: ModelAssets, path: string) => await readAsset<ModelManifest>(environment, `${path}manifest.json`),
  Number.POSITIVE_INFINITY,
);

/** Cards of all models that this deployment serves, the one that answers unnamed requests first. */
export async function modelCards(environment: ModelAssets): Promise<readonly ModelManifest[]> {
  const { models } = await modelIndex(environment, indexPath);
  return await Promise.all(models.map(({ path }) => cardAt(environment, path)));
}

/** The model of this id, or the first where none is named. @throws ServiceError `model_not_found`. */
export async function modelNamed(environment: ModelAssets, id?: string | null): Promise<ServedModel> {
  const { models } = await modelIndex(environment, indexPath);
  const entry = id === undefined || id === null ? models[0] : models.find((one) => one.id === id);
  if (entry === undefined) throw new ServiceError(modelNotFound(id ?? "", models));
  return await modelAt(environment, entry.path);
}

/**
 * The model that something was made with, to go on with it: its tokens mean the same text. Other weights under the same id are another matter,
 * which engines and stores decide by the digest. @throws ServiceError `model_not_found` where this deployment has no such tokenizer.
 */
export async function modelOfVersion(environment: ModelAssets, version: ModelVersion): Promise<ServedModel> {
  const model = await modelNamed(environment, version.id);
  if (model.version.tokenizerDigest === version.tokenizerDigest) return model;
  throw new ServiceError({
    ...modelNotFound(version.id, []),
    message: `This was made with another version of the model '${version.id}', whose tokens the one that is served now cannot read.`,
  });
}

/** No backend that answers now has it. */
export const modelUnavailable = (id: string): ServiceFailure => ({
  code: "engine_unavailable",
  status: 503,
  message: `No engine serves the model '${id}' now.`,
  retryable: true,
  retryAfterSeconds: 5,
});

function modelNotFound(name: string, models: readonly ModelIndexEntry[]): ServiceFailure {
  const served = models.map(({ id }) => `'${id}'`).join(", ");
  return {
    code: "model_not_found",
    status: 404,
    message: `The model '${name.slice(0, 100).toWellFormed()}' does not exist. Served here: ${served}.`,
    param: "model",
    retryable: false,
  };
}

function fileInvalid(path: string, what: string, cause?: unknown): ServiceError {
  const message = `The model is not installed: ${path} ${what}. \`npm run setup:model\` writes it.`;
  return new ServiceError({ code: "model_invalid", status: 500, message, retryable: false }, { cause });
}

/** @throws ServiceError that names the file. */
async function readAsset<T>(environment: ModelAssets, path: string): Promise<T> {
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
