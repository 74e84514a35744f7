import { describe, expect, it } from "vitest";
import type { ModelManifest } from "../../../workers/contracts/model-files.ts";
import { describeModel, fullAttentionBytesPerToken, tokensHeld } from "../../../workers/engine/described-model.ts";
import { FakeEngine } from "./fake-engine.ts";

const engine = (freeBytes: number, bytes: (tokens: number) => number): Parameters<typeof tokensHeld>[0] => ({
  freeStateBytes: () => freeBytes,
  stateBytes: bytes,
});

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

describe("describeModel", () => {
  const facts = { architecture: "a", parameters: 1, vocabularySize: 9, kernel: "k", bosTokenId: null, kvType: "int8", spikes: "off" };
  const manifest: ModelManifest = {
    id: "m",
    created: 0,
    ownedBy: "tests",
    sha256: "",
    tokenizerSha256: "",
    bytes: 0,
    shards: [],
    contextLength: 512,
    form,
    origin: { license: null, weights: null, teacher: null },
    defaults: {},
    parameters: null,
    runsOn: ["engine"],
  };
  const described = (constantState: boolean, freeBytes: number, bytes: (tokens: number) => number) => {
    const fake = new FakeEngine();
    Object.assign(fake, {
      ...engine(freeBytes, bytes),
      describe: () => JSON.stringify({ ...facts, contextLength: 512, constantState }),
    });
    return describeModel(fake, manifest, 2000).description;
  };
  const windowed = (tokens: number) => 10 * Math.min(tokens, 100);

  it("a constant state that fits has no end; a request's own bound is left", () => {
    expect(described(true, 20_000, windowed)).toMatchObject({ contextLength: 2000, state: { constant: true, bytes: 1000 } });
  });

  it("a constant state that does not fit ends where memory does", () => {
    expect(described(true, 900, windowed)).toMatchObject({ contextLength: 50, state: { constant: false, bytes: 500 } });
  });

  it("a state that grows ends where the model does, or memory", () => {
    expect(described(false, 20_000, (tokens) => 10 * tokens)).toMatchObject({
      contextLength: 512,
      state: { constant: false, bytes: 5120 },
    });
    expect(described(false, 1800, (tokens) => 10 * tokens)).toMatchObject({ contextLength: 100, state: { constant: false, bytes: 1000 } });
  });

  it("refuses a limit under which nothing can run", () => {
    expect(() => described(true, 5, () => 6)).toThrow("the memory limit leaves 5 bytes for state, less than one token takes");
  });
});

describe("fullAttentionBytesPerToken", () => {
  it("counts keys, values and their scales in every layer, whatever its mixer", () => {
    expect(fullAttentionBytesPerToken(form, "int8")).toBe(30 * 3 * 2 * (64 + 4));
    expect(fullAttentionBytesPerToken(form, "f32")).toBe(30 * 3 * 2 * 64 * 4);
  });
});
