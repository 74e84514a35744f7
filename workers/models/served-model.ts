/** Models as Workers that make or read text know them: card, tokenizer and chat template, by id. */
import type { ModelVersion } from "../contracts/model-version.ts";
import { ServiceError } from "../contracts/errors.ts";
import type { ModelCard, TokenizerFile } from "../contracts/model-files.ts";
import { ChatTemplate } from "../tokenizer/chat-template.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { oncePerKey } from "../waiting/once-per-isolate.ts";
import { entryNamed, readAsset, type CatalogEntry, type ModelAssets } from "./catalog.ts";
import { modelNotFound, modelUnavailable, notPrepared } from "./failures.ts";

export interface ServedModel extends TextForm {
  readonly card: ModelCard;
}

/** What a model's text and tokens are to one another. Models may have the same. */
export interface TextForm {
  readonly tokenizer: Tokenizer;
  /** Null for a model that only completes text. */
  readonly chatTemplate: ChatTemplate | null;
  /** Ids that end a turn. */
  readonly stopTokens: readonly number[];
  /** Put before raw prompts, for models that were trained so. */
  readonly firstToken: number | null;
}

/**
 * Of an isolate's 128 MB one tokenizer of 152,064 tokens keeps some 14, and takes 40 while it is made; one of 49,152 keeps 4
 * (`test/workers/tokenizer/memory.test.ts`).
 */
const tokenizersAtHand = 3;

const textFormAt = oncePerKey(async (environment: ModelAssets, path: string): Promise<TextForm> => {
  const file = await readAsset<TokenizerFile>(environment, path);
  const tokenizer = Tokenizer.fromTokenizerFile(file);
  return {
    tokenizer,
    chatTemplate: file.chatTemplate === null ? null : new ChatTemplate(file.chatTemplate, tokenizer),
    stopTokens: file.eosTokenIds,
    firstToken: file.addBosToken ? file.bosTokenId : null,
  };
}, tokenizersAtHand);

/** The model of this id, or the first where none is named. @throws ServiceError `model_not_found`, or 503 where set-up has not prepared its tokenizer. */
export async function modelNamed(environment: ModelAssets, id?: string | null): Promise<ServedModel> {
  return await servedModel(environment, await entryNamed(environment, id));
}

/**
 * The model that something was made with, to go on with it: its tokens mean the same text. Other weights under the same id are another matter,
 * which engines and stores decide by the digest. @throws ServiceError `model_not_found` where this deployment has no such tokenizer.
 */
export async function modelOfVersion(environment: ModelAssets, version: ModelVersion): Promise<ServedModel> {
  const entry = await entryNamed(environment, version.id);
  if (entry.card.tokenizerSha256 === version.tokenizerDigest) return await servedModel(environment, entry);
  throw new ServiceError({
    ...modelNotFound(version.id, []),
    message: `This was made with another version of the model '${version.id}', whose tokens the one that is served now cannot read.`,
  });
}

/** @throws ServiceError 503 where set-up has not prepared its tokenizer. */
export async function servedModel(environment: ModelAssets, { card, tokenizer }: CatalogEntry): Promise<ServedModel> {
  if (tokenizer === null) throw new ServiceError(modelUnavailable(card.id, notPrepared(card.id, card.sha256 !== null)));
  return { card, ...(await textFormAt(environment, tokenizer)) };
}
