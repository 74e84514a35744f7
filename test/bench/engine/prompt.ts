import { readFileSync } from "node:fs";
import { inRepository } from "../../../infra/local/paths.ts";
import type { TokenizerFile } from "../../../workers/contracts/model-files.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";

/** The prepared model's tokenizer. */
export function preparedTokenizer(): Tokenizer {
  const path = inRepository("dist/models/model/tokenizer.json");
  return Tokenizer.fromTokenizerFile(JSON.parse(readFileSync(path, "utf8")) as TokenizerFile);
}

/**
 * Exactly so many tokens of a text without end that goes on in a way any language model can tell, so that a wrong continuation shows.
 * A context's prompt is the beginning of every longer one.
 */
export function promptOf(tokenizer: Pick<Tokenizer, "encode">, tokens: number): number[] {
  let lines = Math.ceil(tokens / 8);
  let ids = tokenizer.encode(countingText(lines));
  while (ids.length < tokens) {
    lines *= 2;
    ids = tokenizer.encode(countingText(lines));
  }
  return Array.from(ids.subarray(0, tokens));
}

function countingText(lines: number): string {
  return Array.from({ length: lines }, (_unused, at) => `The number after ${at + 1} is ${at + 2}.\n`).join("");
}
