/** The tokens that a request's `logit_bias` names, by their ids or by their texts. */
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { invalidRequest } from "../failures.ts";
import type { LogitBias } from "../schema/generation-fields.ts";
import { fieldName } from "../schema/parse.ts";

/** @throws ServiceError where a name is no token of the model's, or where two of them are one token. */
export function biasedTokens(
  biases: readonly LogitBias[],
  tokenizer: Pick<Tokenizer, "encode" | "vocabularySize">,
): [id: number, bias: number][] {
  const named = new Map<number, string>();
  return biases.map(([token, bias]) => {
    const field = fieldName(["logit_bias", String(token)]);
    const id = typeof token === "number" ? token : only(tokenizer.encode(token), field);
    if (id >= tokenizer.vocabularySize)
      throw invalidRequest(
        `'${field}': token id ${String(id)} is outside the vocabulary of ${String(tokenizer.vocabularySize)} tokens.`,
        field,
      );
    const other = named.get(id);
    if (other !== undefined) throw invalidRequest(`'${field}': is the same token as '${other}' (id ${String(id)}).`, field);
    named.set(id, field);
    return [id, bias];
  });
}

function only(ids: ArrayLike<number>, field: string): number {
  const [id] = Array.from(ids);
  if (id !== undefined && ids.length === 1) return id;
  throw invalidRequest(`'${field}': must be a token's id, or the text of one token; it is the text of ${String(ids.length)}.`, field);
}
