/** The model as Workers that make or read text know it: its card, its tokenizer and its chat template, from the static assets that set-up wrote. */
import type { ModelManifest, TokenizerFile } from "../contracts/model-files.ts";
import { ServiceError } from "../contracts/errors.ts";
import { ChatTemplate } from "../tokenizer/chat-template.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
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

/** Where the files lie: `/model/manifest.json` and `/model/tokenizer.json`. */
export interface ModelAssets {
  readonly ASSETS: { fetch(url: string): Promise<Response> };
}

export const servedModel = oncePerIsolate(async (environment: ModelAssets): Promise<ServedModel> => {
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

async function readAsset<T>(environment: ModelAssets, file: string): Promise<T> {
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
