import { describe, expect, it } from "vitest";
import { formOf } from "../../../../infra/local/gguf/form.ts";

const plain = {
  "llama.block_count": 3,
  "llama.embedding_length": 64,
  "llama.attention.head_count": 4,
};
const mixed = {
  "spikingbrain.block_count": 4,
  "spikingbrain.embedding_length": 64,
  "spikingbrain.attention.head_count": 4,
  "spikingbrain.attention.head_count_kv": 2,
  "spikingbrain.attention.key_length": 32,
  "spikingbrain.attention.sliding_window": 128,
  "spikingbrain.attention.sink_count": 5,
  "spikingbrain.layer.mixers": ["linear", "window", "linear", "linear+full"],
  "spikingbrain.layer.feed_forwards": ["dense", "moe", "dense", "moe"],
};

describe("formOf", () => {
  it("an ordinary Transformer is full attention in every layer", () => {
    expect(formOf(plain, "llama")).toEqual({
      layers: [{ mixer: "full", feedForward: "dense", count: 3 }],
      window: null,
      keptTokens: 0,
      learnedSinks: 0,
      salientTokens: null,
      kvHeads: 4,
      headDim: 16,
    });
  });

  it("layers that are alike count together", () => {
    expect(formOf(mixed, "spikingbrain")).toEqual({
      layers: [
        { mixer: "linear", feedForward: "dense", count: 2 },
        { mixer: "window", feedForward: "moe", count: 1 },
        { mixer: "linear+full", feedForward: "moe", count: 1 },
      ],
      window: 128,
      keptTokens: 0,
      learnedSinks: 5,
      salientTokens: null,
      kvHeads: 2,
      headDim: 32,
    });
  });

  it.each<[field: string, change: Record<string, unknown>, message: string]>([
    ["layer.mixers", { "spikingbrain.layer.mixers": undefined }, "must be an array of strings; it is missing"],
    ["layer.mixers", { "spikingbrain.layer.mixers": ["linear"] }, "must have an entry for each of 4 layers; it is 1"],
    ["layer.feed_forwards", { "spikingbrain.layer.feed_forwards": [] }, "must have an entry for each of 4 layers; it is 0"],
    ["attention.sliding_window", { "spikingbrain.attention.sliding_window": undefined }, "must be an integer; it is missing"],
    ["evicted.salient", { "spikingbrain.layer.mixers": ["evicted", "evicted", "evicted", "evicted"] }, "must be an integer; it is missing"],
  ])("names %s", (field, change, message) => {
    expect(() => formOf({ ...mixed, ...change }, "spikingbrain")).toThrow(`"spikingbrain.${field}" ${message}`);
  });
});
