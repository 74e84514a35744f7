import { describe, expect, it } from "vitest";
import { factsOf } from "../../../../infra/local/gguf/metadata.ts";

const plain = {
  "general.architecture": "llama",
  "general.license": "mit",
  "llama.context_length": 8192,
  "llama.block_count": 2,
  "llama.embedding_length": 8,
  "llama.attention.head_count": 2,
  "tokenizer.ggml.model": "gpt2",
  "tokenizer.ggml.pre": "smollm",
  "tokenizer.ggml.tokens": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "a", "b", "ab"],
  "tokenizer.ggml.token_type": [3, 3, 3, 1, 1, 1],
  "tokenizer.ggml.merges": ["a b"],
  "tokenizer.ggml.bos_token_id": 1,
  "tokenizer.ggml.eos_token_id": 2,
  "tokenizer.chat_template": "{{ messages }}",
};

describe("factsOf", () => {
  it("reads what the gateway needs", () => {
    expect(factsOf(plain)).toEqual({
      contextLength: 8192,
      form: {
        layers: [{ mixer: "full", feedForward: "dense", count: 2 }],
        window: null,
        keptTokens: 0,
        learnedSinks: 0,
        salientTokens: null,
        kvHeads: 2,
        headDim: 4,
      },
      license: "mit",
      defaults: {},
      tokenizer: {
        model: "gpt2",
        pre: "smollm",
        tokens: plain["tokenizer.ggml.tokens"],
        tokenTypes: [3, 3, 3, 1, 1, 1],
        merges: ["a b"],
        bosTokenId: 1,
        eosTokenIds: [2, 0],
        addBosToken: false,
        chatTemplate: "{{ messages }}",
      },
    });
  });

  it("takes 64-bit lengths, as they are read", () => {
    expect(factsOf({ ...plain, "llama.context_length": 4096n }).contextLength).toBe(4096);
  });

  it("stops at every end token of a ChatML model, and only at control tokens", () => {
    const named = (eos: number, types: number[]): readonly number[] =>
      factsOf({ ...plain, "tokenizer.ggml.eos_token_id": eos, "tokenizer.ggml.token_type": types }).tokenizer.eosTokenIds;
    expect(named(0, [3, 3, 3, 1, 1, 1])).toEqual([0, 2]);
    expect(named(2, [1, 3, 3, 1, 1, 1])).toEqual([2]);
    expect(factsOf({ ...plain, "tokenizer.ggml.eot_token_id": 4 }).tokenizer.eosTokenIds).toEqual([2, 4, 0]);
  });

  it("stops only at what the file names when the model is not of the ChatML kind", () => {
    const tokens = ["<|endoftext|>", "x", "y", "a", "b", "ab"];
    expect(factsOf({ ...plain, "tokenizer.ggml.tokens": tokens }).tokenizer.eosTokenIds).toEqual([2]);
  });

  it.each([
    ["general.architecture", undefined, "is missing"],
    ["llama.context_length", "long", 'must be an integer; it is "long"'],
    ["llama.context_length", 0, "at least 1; it is 0"],
    ["tokenizer.ggml.model", "llama", 'must be "gpt2" (byte-level BPE); it is "llama"'],
    ["tokenizer.ggml.pre", undefined, "is missing"],
    ["tokenizer.ggml.tokens", undefined, "is missing"],
    ["tokenizer.ggml.tokens", ["a", 1], "an array of strings"],
    ["tokenizer.ggml.token_type", [3], "as many entries as tokenizer.ggml.tokens (6); it is 1"],
    ["tokenizer.ggml.merges", undefined, "is missing"],
    ["tokenizer.ggml.eos_token_id", 6, "below the vocabulary size 6; it is 6"],
    ["tokenizer.ggml.add_bos_token", "yes", 'a boolean; it is "yes"'],
    ["tokenizer.ggml.add_eos_token", true, "must be absent or false; it is true"],
    ["tokenizer.ggml.add_space_prefix", true, "must be absent or false; it is true"],
    ["tokenizer.ggml.remove_extra_whitespaces", true, "must be absent or false; it is true"],
    ["tokenizer.chat_template", 5, "a string; it is 5"],
  ])("names %s when it is %j", (field, value, message) => {
    const { [field]: _, ...others } = plain as Record<string, unknown>;
    const broken = value === undefined ? others : { ...plain, [field]: value };
    expect(() => factsOf(broken)).toThrow(`"${field}"`);
    expect(() => factsOf(broken)).toThrow(message);
  });

  it("takes the sampling that its makers recommend, as they wrote it, within what a request may ask for", () => {
    const sampling = { temp: Math.fround(0.7), top_p: Math.fround(0.8), top_k: 20, min_p: 0, penalty_repeat: Math.fround(1.05) };
    const fields = Object.entries(sampling).map(([name, value]) => [`general.sampling.${name}`, value] as const);
    const defaults = { temperature: 0.7, top_p: 0.8, top_k: 20, min_p: 0, repetition_penalty: 1.05 };
    expect(factsOf({ ...plain, ...Object.fromEntries(fields) }).defaults).toEqual(defaults);
    expect(factsOf({ ...plain, "general.sampling.temp": 1, "general.sampling.mirostat": 0 }).defaults).toEqual({ temperature: 1 });
    for (const value of [-1, 2.5, "hot", Number.NaN])
      expect(() => factsOf({ ...plain, "general.sampling.temp": value })).toThrow('"general.sampling.temp"');
    expect(() => factsOf({ ...plain, "general.sampling.top_k": 1.5 })).toThrow('"general.sampling.top_k"');
  });

  it("takes every special token that a chat template may name", () => {
    const named = { unknown: 0, seperator: 1, padding: 2, cls: 3, mask: 4 };
    const fields = Object.entries(named).map(([name, id]) => [`tokenizer.ggml.${name}_token_id`, id] as const);
    const otherTokenIds = { unk_token: 0, sep_token: 1, pad_token: 2, cls_token: 3, mask_token: 4 };
    expect(factsOf({ ...plain, ...Object.fromEntries(fields) }).tokenizer.otherTokenIds).toEqual(otherTokenIds);
    const beyond = { ...plain, "tokenizer.ggml.padding_token_id": 6 };
    expect(() => factsOf(beyond)).toThrow('"tokenizer.ggml.padding_token_id" must be below the vocabulary size 6; it is 6');
  });

  it("refuses to begin texts with a token that is not named", () => {
    const { "tokenizer.ggml.bos_token_id": bos, ...others } = plain;
    const adding = { ...others, "tokenizer.ggml.add_bos_token": true };
    expect(() => factsOf(adding)).toThrow("must be false without tokenizer.ggml.bos_token_id; it is true");
    const { bosTokenId, addBosToken } = factsOf({ ...adding, "tokenizer.ggml.bos_token_id": bos }).tokenizer;
    expect([bosTokenId, addBosToken]).toEqual([bos, true]);
  });

  it("refuses a model that could never end", () => {
    const { "tokenizer.ggml.eos_token_id": _, ...others } = plain;
    const tokens = ["x", "y", "z", "a", "b", "ab"];
    expect(() => factsOf({ ...others, "tokenizer.ggml.tokens": tokens })).toThrow("no generation would end");
  });
});
