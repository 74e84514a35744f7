/** Reads what set-up took from a GGUF's metadata. The GGUF is untrusted, so every statement in it is checked. */
import type { TokenizerFile } from "../contracts/model-files.ts";
import type { AddedToken } from "./added-tokens.ts";
import { modelInvalid } from "./failures.ts";
import { type Family, supportedFamilies } from "./pre-tokenizer.ts";
import type { Vocabulary } from "./vocabulary.ts";

const controlType = 3;
const userDefinedType = 4;

export function vocabularyFromTokenizerFile(file: TokenizerFile): Vocabulary {
  if (file.model !== "gpt2") throw modelInvalid(`tokenizer.ggml.model is "${file.model}"; only "gpt2" (byte-level BPE) is served`);
  const { tokens } = file;
  if (file.tokenTypes.length !== tokens.length) {
    throw modelInvalid(
      `tokenizer.ggml.token_type has ${String(file.tokenTypes.length)} entries, tokenizer.ggml.tokens ${String(tokens.length)}`,
    );
  }
  const addedTokens: AddedToken[] = [];
  for (const [id, type] of file.tokenTypes.entries()) {
    const content = tokens[id];
    if (content && (type === controlType || type === userDefinedType)) addedTokens.push({ id, content, special: type === controlType });
  }
  return {
    family: supportedFamily(file.pre),
    tokens,
    merges: file.merges,
    ignoreMerges: false,
    addedTokens,
    normalizedAddedTokens: [],
    bosTokenId: file.bosTokenId,
    eosTokenIds: file.eosTokenIds,
    addBosToken: file.addBosToken,
    otherTokens: otherTokensOf(file),
  };
}

function otherTokensOf({ otherTokenIds = {}, tokens }: TokenizerFile): Vocabulary["otherTokens"] {
  return Object.fromEntries(
    Object.entries(otherTokenIds).map(([name, id]) => {
      const content = tokens[id];
      if (content === undefined)
        throw modelInvalid(`tokenizer: ${name}, id ${String(id)}, is not in the vocabulary of ${String(tokens.length)}`);
      return [name, content];
    }),
  );
}

function supportedFamily(pre: string): Family {
  const family = supportedFamilies.find((name) => name === pre);
  if (!family) throw modelInvalid(`tokenizer.ggml.pre is "${pre}"; supported are ${supportedFamilies.join(", ")}`);
  return family;
}
