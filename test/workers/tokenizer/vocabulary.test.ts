/** Files that cannot be served are refused with the name of what is wrong. */
import { describe, expect, test } from "vitest";
import type { TokenizerFile } from "../../../workers/contracts/model-files.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";

const file: TokenizerFile = {
  model: "gpt2",
  pre: "gpt-2",
  tokens: ["a", "b", "ab", "<|end|>", "<tool>"],
  tokenTypes: [1, 1, 1, 3, 4],
  merges: ["a b"],
  bosTokenId: null,
  eosTokenIds: [3],
  addBosToken: false,
  chatTemplate: null,
};

const model = { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] };
const huggingFace = {
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
  added_tokens: [{ id: 3, content: "<|end|>", special: true, normalized: false }],
  decoder: { type: "ByteLevel" },
  model,
};

describe("a GGUF's tokenizer", () => {
  test("tells normal, control and user-defined tokens apart", () => {
    const tokenizer = Tokenizer.fromTokenizerFile(file);
    expect(Array.from(tokenizer.encode("ab<tool>ab"))).toEqual([2, 4, 2]);
    expect(Array.from(tokenizer.encodeWithSpecial("ab<|end|>"))).toEqual([2, 3]);
    expect(tokenizer.encode("<|end|>")).not.toContain(3);
    expect(tokenizer.specialTokenId("<|end|>")).toBe(3);
    expect([tokenizer.isSpecial(3), tokenizer.isSpecial(4), tokenizer.vocabularySize]).toEqual([true, false, 5]);
    expect([tokenizer.tokenText(2), Array.from(tokenizer.tokenBytes(2))]).toEqual(["ab", [0x61, 0x62]]);
  });

  test.each<[string, Partial<TokenizerFile>, string]>([
    ["model", { model: "llama" }, 'tokenizer.ggml.model is "llama"; only "gpt2"'],
    ["pre-tokenizer", { pre: "llama-bpe" }, 'tokenizer.ggml.pre is "llama-bpe"; supported are gpt-2, smollm, qwen2'],
    ["number of types", { tokenTypes: [1] }, "tokenizer.ggml.token_type has 1 entries, tokenizer.ggml.tokens 5"],
    ["merge of one token", { merges: ["ab"] }, 'tokenizer merge 0 is "ab"'],
    ["merge of three tokens", { merges: ["a a b"] }, 'tokenizer merge 0 is "a a b"'],
    ["merge of an unknown token", { merges: ["a b", "a c"] }, 'tokenizer merge 1 needs "c"'],
    ["merge into an unknown token", { merges: ["b a"] }, 'tokenizer merge 0 needs "ba"'],
    ["merge into a control token", { tokenTypes: [1, 1, 3, 3, 4] }, 'tokenizer merge 0 needs "ab"'],
    ["padding", { otherTokenIds: { pad_token: 5 } }, "pad_token, id 5, is not in the vocabulary of 5"],
    ["beginning", { bosTokenId: 5 }, "special token id 5 is not in the vocabulary of 5"],
    ["end", { eosTokenIds: [3, -1] }, "special token id -1 is not in the vocabulary of 5"],
    ["endless control token", { tokens: ["a", "b", "ab", "<".repeat(600), "<tool>"] }, "added token 3 has 600 code units"],
  ])("with a wrong %s is refused", (_, change, message) => {
    expect(() => Tokenizer.fromTokenizerFile({ ...file, ...change })).toThrow(message);
  });
});

describe("a tokenizer.json", () => {
  test.each<[string, Record<string, unknown>, string]>([
    ["id", { model: { ...model, vocab: { a: 0, b: 1, ab: 4e9 } } }, 'token "ab" has id 4000000000'],
    ["vocabulary", { model: { ...model, vocab: ["a"] } }, 'model.vocab must be an object; it is ["a"]'],
    ["merge", { model: { ...model, merges: [["a", "b", "c"]] } }, 'tokenizer merge 0 is "a b c"'],
  ])("with an unserved %s is refused", (_, change, message) => {
    expect(() => Tokenizer.fromHuggingFace({ ...huggingFace, ...change })).toThrow(message);
  });

  test("may leave ids out, which then decode to an error", () => {
    const tokenizer = Tokenizer.fromHuggingFace({ ...huggingFace, model: { ...model, vocab: { a: 0, b: 1, ab: 9 } } });
    expect(tokenizer.vocabularySize).toBe(10);
    expect(tokenizer.decode([0, 3, 9])).toBe("a<|end|>ab");
    expect(() => tokenizer.decode([5])).toThrow("token id 5 is not in the vocabulary of 10");
  });
});
