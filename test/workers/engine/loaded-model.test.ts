import { describe, expect, it } from "vitest";
import { constantStateBytes, fullAttentionBytesPerToken, tokensHeld } from "../../../workers/engine/loaded-model.ts";

const engine = (freeBytes: number, bytes: (tokens: number) => number): Parameters<typeof tokensHeld>[0] => ({
  freeStateBytes: () => freeBytes,
  stateBytes: bytes,
});

describe("tokensHeld", () => {
  it.each([
    ["memory decides", engine(1800, (tokens) => 10 * tokens), 8192, 100],
    ["pages: the last whole one counts", engine(1700, (tokens) => 300 * Math.ceil(tokens / 32)), 8192, 96],
    ["the model decides", engine(10_000, (tokens) => tokens), 512, 512],
    ["a state of constant size leaves room for the ids of so many", engine(9000, () => 1000), 131_072, 1000],
    ["a request's own bound", engine(9000, () => 1000), 512, 512],
    ["not even one token", engine(5, () => 6), 512, 0],
  ])("%s", (_, given, contextLength, held) => {
    expect(tokensHeld(given, contextLength)).toBe(held);
  });
});

describe("constantStateBytes", () => {
  const pages = (tokens: number) => 300 * Math.ceil(tokens / 32);
  it.each([
    ["a window", (tokens: number) => pages(Math.min(tokens, 576)), 5400],
    ["sums alone", () => 7, 7],
    ["full attention", pages, undefined],
    ["full attention whose size saturates", (tokens: number) => Math.min(391_680 * Math.ceil(tokens / 32), 2 ** 32 - 1), undefined],
  ])("%s", (_, stateBytes, bytes) => {
    expect(constantStateBytes({ stateBytes })).toBe(bytes);
  });
});

describe("fullAttentionBytesPerToken", () => {
  const form = {
    layers: [
      { mixer: "evicted", feedForward: "dense", count: 29 },
      { mixer: "full", feedForward: "dense", count: 1 },
    ],
    window: 512,
    keptTokens: 4,
    learnedSinks: 0,
    salientTokens: 256,
    kvHeads: 3,
    headDim: 64,
  };

  it("counts keys, values and their scales in every layer, whatever its mixer", () => {
    expect(fullAttentionBytesPerToken(form, "int8")).toBe(30 * 3 * 2 * (64 + 4));
    expect(fullAttentionBytesPerToken(form, "f32")).toBe(30 * 3 * 2 * 64 * 4);
  });
});
