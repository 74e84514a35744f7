/** The prepared model as Workers that make or read text know it. */
import { readFileSync } from "node:fs";
import { inRepository } from "../../../infra/local/paths.ts";
import type { ModelCard, TokenizerFile } from "../../../workers/contracts/model-files.ts";
import type { ServedModel } from "../../../workers/models/served-model.ts";
import { ChatTemplate } from "../../../workers/tokenizer/chat-template.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";

export function preparedModel(): ServedModel {
  const read = (file: string): unknown => JSON.parse(readFileSync(inRepository(`dist/models/model/${file}`), "utf8"));
  const file = read("tokenizer.json") as TokenizerFile;
  const tokenizer = Tokenizer.fromTokenizerFile(file);
  const chatTemplate = file.chatTemplate === null ? null : new ChatTemplate(file.chatTemplate, tokenizer);
  const firstToken = file.addBosToken ? file.bosTokenId : null;
  return { card: read("manifest.json") as ModelCard, tokenizer, chatTemplate, stopTokens: file.eosTokenIds, firstToken };
}
