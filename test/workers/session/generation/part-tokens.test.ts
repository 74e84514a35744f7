/** How much of a text is read before its state is kept: what a failure, or giving way to others, costs at the most. */
import { expect, it } from "vitest";
import { abilities, type Ability } from "../../../../workers/contracts/abilities.ts";
import type { ModelDescription } from "../../../../workers/contracts/engine.ts";
import { partTokens } from "../../../../workers/session/generation/read-tokens.ts";

const model = { id: "model", digest: "d".repeat(64), tokenizerDigest: "e".repeat(64) };
const backend = (contextLength: number, can: readonly Ability[] = abilities) => ({
  models: () =>
    Promise.resolve({
      ok: true as const,
      value: [
        {
          ...model,
          architecture: "",
          parameters: 1,
          vocabularySize: 8,
          contextLength,
          abilities: can,
          kernel: "",
        } satisfies ModelDescription,
      ],
    }),
});

it.each([
  [131_072, 2_048],
  [4_096, 2_048],
  [1_000, 500],
])("a model of %i tokens reads a text in parts of %i", async (contextLength, tokens) => {
  expect(await partTokens(backend(contextLength), model)).toBe(tokens);
});

it("a text of a model that no engine serves is not read", async () => {
  await expect(partTokens(backend(4_096), { ...model, digest: "f".repeat(64) })).rejects.toMatchObject({
    failure: { code: "engine_unavailable" },
  });
});

it("a text is not read by a backend that keeps no states, and trying again does not help", async () => {
  await expect(partTokens(backend(4_096, ["logit_bias"]), model)).rejects.toMatchObject({
    failure: { code: "unsupported_field", param: "model", retryable: false },
  });
});
