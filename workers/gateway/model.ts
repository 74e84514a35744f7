/** The model as the gateway knows it: its card, its tokenizer and its chat template, from the static assets that set-up wrote. */
import type { ModelManifest, TokenizerFile } from "../contracts/model-files.ts";
import { ServiceError } from "../contracts/errors.ts";
import { ChatTemplate } from "../tokenizer/chat-template.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Environment } from "./environment.ts";
import { modelNotFound } from "./failures.ts";
import { oncePerIsolate } from "./once-per-isolate.ts";

export interface ServedModel {
  readonly card: ModelManifest;
  readonly tokenizer: Tokenizer;
  /** Null for a model that only completes text. */
  readonly chatTemplate: ChatTemplate | null;
  /** Ids that end a turn. */
  readonly stopTokens: readonly number[];
  /** Put before raw prompts, for models that were trained so. */
  readonly firstToken: number | null;
}

export const servedModel = oncePerIsolate(async (environment: Environment): Promise<ServedModel> => {
  const card = await readAsset<ModelManifest>(environment, "manifest.json");
  const file = await readAsset<TokenizerFile>(environment, "tokenizer.json");
  const tokenizer = Tokenizer.fromTokenizerFile(file);
  return {
    card,
    tokenizer,
    chatTemplate: file.chatTemplate === null ? null : new ChatTemplate(file.chatTemplate, tokenizer),
    stopTokens: file.eosTokenIds,
    firstToken: file.addBosToken ? file.bosTokenId : null,
  };
});

/** The served model, when that is the one asked for. */
export async function requireModel(environment: Environment, name: string | null | undefined): Promise<ServedModel> {
  const model = await servedModel(environment);
  if (name !== null && name !== undefined && name !== model.card.id) throw modelNotFound(name);
  return model;
}

async function readAsset<T>(environment: Environment, file: string): Promise<T> {
  const response = await environment.ASSETS.fetch(`https://assets.invalid/model/${file}`);
  if (!response.ok) {
    await response.body?.cancel();
    throw new ServiceError({
      code: "engine_unavailable",
      status: 503,
      message: `The model is not installed: ${file} is missing (${response.status}).`,
      retryable: true,
      retryAfterSeconds: 10,
    });
  }
  return response.json();
}
