/**
 * Raw prompts. Their author writes the whole prompt, so the names of special tokens in it are those tokens (which is how clients
 * apply templates of their own); chat messages go through the template instead, where they stay plain text.
 */
import { invalidRequest } from "../failures.ts";
import type { ServedModel } from "../../models/served-model.ts";

export function encodePrompt(model: ServedModel, text: string, addSpecialTokens = true): Uint32Array {
  const tokens = Uint32Array.from(model.tokenizer.encodeWithSpecial(text));
  const first = addSpecialTokens ? model.firstToken : null;
  return first === null || tokens[0] === first ? tokens : Uint32Array.from([first, ...tokens]);
}

export function requireVocabulary(model: ServedModel, tokens: readonly number[], field: string): void {
  const { vocabularySize } = model.tokenizer;
  const outside = tokens.find((id) => id >= vocabularySize);
  if (outside !== undefined)
    throw invalidRequest(`'${field}': token id ${outside} is outside the vocabulary of ${vocabularySize} tokens.`, field);
}
