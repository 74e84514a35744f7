/** Where histories and fresh prompts come from: token ids of a text that is long enough. */
import { readFileSync } from "node:fs";
import type { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { promptOf } from "../engine/prompt.ts";

/** Prose in an ordinary language has fewer characters a token; as many are tokenized as that takes, not all of a large file. */
const charactersPerToken = 8;

/** Exactly so many tokens. @throws Error where the file has fewer. */
export function tokensOfText(tokenizer: Pick<Tokenizer, "encode">, tokens: number, file: string | null): number[] {
  if (file === null) return promptOf(tokenizer, tokens);
  const ids = tokenizer.encode(readFileSync(file, "utf8").slice(0, tokens * charactersPerToken));
  if (ids.length < tokens) throw new Error(`STATE_TEXT: ${file} must have at least ${tokens} tokens; it has ${ids.length}.`);
  return Array.from(ids.subarray(0, tokens));
}
