/** What one request may ask for where the model's context has no end. */
import { describe, expect, test } from "vitest";
import { abilities } from "../../../workers/contracts/abilities.ts";
import type { SamplingDefaults } from "../../../workers/contracts/model-files.ts";
import { planJobs, type JobOptions } from "../../../workers/gateway/plan/jobs.ts";
import type { GenerationFields } from "../../../workers/gateway/schema/generation-fields.ts";
import type { ServedModel } from "../../../workers/models/served-model.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { tinyManifest, tinyTokenizer } from "../support/tiny-tokenizer.ts";

const model: ServedModel = {
  card: tinyManifest,
  tokenizer: Tokenizer.fromTokenizerFile(tinyTokenizer),
  chatTemplate: null,
  stopTokens: [],
  firstToken: null,
};
const backend = { contextLength: 131_072, abilities };

function plan(lengths: readonly number[], changes: Partial<JobOptions> & { readonly n?: number } = {}) {
  const { n = 1, ...options } = changes;
  const prompts = lengths.map((length) => ({ tokens: new Uint32Array(length).fill(1), echo: null }));
  const defaults: JobOptions = {
    promptField: "messages",
    prompts,
    maxTokens: null,
    defaultMaxTokens: 2048,
    topLogprobs: null,
    promptLogprobs: null,
  };
  return planJobs({ model: "tiny", n, logit_bias: [] }, { ...defaults, ...options }, model, backend, "test");
}

test("an answer whose length nobody named is bounded; one that was named is taken as it is", () => {
  expect(plan([20_000])[0]?.request).toMatchObject({ maxTokens: 2048 });
  expect(plan([131_000])[0]?.request).toMatchObject({ maxTokens: 72 });
  expect(plan([20_000], { maxTokens: 100_000 })[0]?.request).toMatchObject({ maxTokens: 100_000 });
});

describe("refusals name the bound and the value", () => {
  test.each<readonly [name: string, lengths: readonly number[], changes: Parameters<typeof plan>[1], message: string]>([
    [
      "a prompt beyond what a request may have",
      [131_072],
      {},
      "A request may have 131072 tokens, prompt and answer together. The prompt has 131072",
    ],
    ["more to generate than is left", [20_000], { maxTokens: 120_000 }, "140000 were asked for"],
    ["a long prompt for many choices", [50_000], { n: 6 }, "may have 262144 tokens; they have 300000"],
    ["many long prompts", [100_000, 100_000, 100_000], {}, "may have 262144 tokens; they have 300000"],
    [
      "scores of a long prompt",
      [4000],
      { promptLogprobs: 20 },
      "with 20 alternatives a prompt of 1560 tokens can be scored; this one has 4000",
    ],
  ])("%s", (_name, lengths, changes, message) => {
    expect(() => plan(lengths, changes)).toThrow(message);
  });
});

test("what is just within the bounds is planned", () => {
  expect(plan([32_768], { n: 8 })).toHaveLength(8);
  expect(plan([1560], { promptLogprobs: 20 })).toHaveLength(1);
  expect(plan([131_071])).toHaveLength(1);
});

describe("what a request leaves out of how tokens are chosen", () => {
  const own = { temperature: 0.2, top_p: 0.9, top_k: 40, min_p: 0.05, repetition_penalty: 1.1 };
  const absent: Partial<GenerationFields> = { temperature: null, top_p: null, top_k: null, min_p: null, repetition_penalty: null };
  const sampling = (defaults: SamplingDefaults, body: Partial<GenerationFields>) => {
    const options: JobOptions = {
      promptField: "messages",
      prompts: [{ tokens: Uint32Array.of(1), echo: null }],
      maxTokens: 1,
      defaultMaxTokens: 1,
      topLogprobs: null,
      promptLogprobs: null,
    };
    const served = { ...model, card: { ...model.card, defaults } };
    return planJobs({ model: "tiny", logit_bias: [], ...body }, options, served, backend, "test")[0]?.request.sampling;
  };

  test.each<readonly [string, Partial<GenerationFields>]>([
    ["absent", {}],
    ["null", absent],
  ])("is the model's where it is %s, and OpenAI's where the model has none", (_name, body) => {
    expect(sampling(own, body)).toMatchObject({ temperature: 0.2, topP: 0.9, topK: 40, minP: 0.05, repetitionPenalty: 1.1 });
    expect(sampling({ temperature: 0 }, body)).toMatchObject({ temperature: 0, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1 });
    expect(sampling({}, body)).toMatchObject({ temperature: 1, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1 });
    expect(sampling({ top_k: -1 }, body)).toMatchObject({ topK: 0 });
  });

  test("gives way to what it says", () => {
    expect(sampling(own, { temperature: 1, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1 })).toMatchObject({
      temperature: 1,
      topP: 1,
      topK: 0,
      minP: 0,
      repetitionPenalty: 1,
    });
    expect(sampling(own, { temperature: 0, top_k: -1 })).toMatchObject({ temperature: 0, topP: 0.9, topK: 0 });
  });
});
