import { readFileSync } from "node:fs";
import { inRepository } from "../../../infra/local/paths.ts";
import type { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";

/** Younger than anything that the model was made from. */
export const heldOutFiles = [
  "ARCHITECTURE.md",
  "gpu-backend/docs/conversion.md",
  "README.md",
  "gpu-backend/docs/evicted-tokens.md",
] as const;

/** The beginning of a file in the repository, exactly so many tokens. @throws Error where the file has fewer. */
export function beginningOf(tokenizer: Pick<Tokenizer, "encode">, file: string, tokens: number): Uint32Array {
  const ids = tokenizer.encode(readFileSync(inRepository(file), "utf8"));
  if (ids.length < tokens) throw new Error(`${file} must have at least ${tokens} tokens; it has ${ids.length}.`);
  return ids.subarray(0, tokens);
}
