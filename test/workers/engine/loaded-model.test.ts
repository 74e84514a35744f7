import { describe, expect, it } from "vitest";
import { tokensHeld } from "../../../workers/engine/loaded-model.ts";

const engine = (freeBytes: number, bytes: (tokens: number) => number): Parameters<typeof tokensHeld>[0] => ({
  freeStateBytes: () => freeBytes,
  stateBytes: bytes,
});

describe("tokensHeld", () => {
  it.each([
    ["memory decides", engine(1000, (tokens) => 10 * tokens), 8192, 100],
    ["pages: the last whole one counts", engine(1000, (tokens) => 300 * Math.ceil(tokens / 32)), 8192, 96],
    ["the model decides", engine(1000, (tokens) => tokens), 512, 512],
    ["a state of constant size", engine(1000, () => 1000), 512, 512],
    ["not even one token", engine(5, () => 6), 512, 0],
  ])("%s", (_, given, contextLength, held) => {
    expect(tokensHeld(given, contextLength)).toBe(held);
  });
});
