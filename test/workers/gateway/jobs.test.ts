/** What one request may ask for where the model's context has no end. */
import { describe, expect, test } from "vitest";
import { planJobs, type JobOptions } from "../../../workers/gateway/plan/jobs.ts";
import type { ServedModel } from "../../../workers/models/served-model.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { tinyManifest, tinyTokenizer, versionOf } from "../support/tiny-tokenizer.ts";

const model: ServedModel = {
  card: tinyManifest,
  version: versionOf(tinyManifest),
  tokenizer: Tokenizer.fromTokenizerFile(tinyTokenizer),
  chatTemplate: null,
  stopTokens: [],
  firstToken: null,
};
const requestTokens = 131_072;

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
  return planJobs({ model: "tiny", n, logit_bias: [] }, { ...defaults, ...options }, model, requestTokens, "test");
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
