import { describe, expect, it } from "vitest";
import { refusalOf } from "../../../../workers/contracts/request/check.ts";
import { request, testModel, type RequestChanges } from "../../engine/requests.ts";

const limits = { ...testModel, vocabularySize: 100, contextLength: 50 };

describe("refusalOf", () => {
  it("counts spikes only where there are some", () => {
    expect(refusalOf(request({ countSpikes: true }), { ...limits, spikes: "paper" })).toBeUndefined();
    expect(refusalOf(request({ countSpikes: true }), limits)).toMatchObject({
      code: "invalid_request",
      param: "countSpikes",
      message: expect.stringContaining("spiking mode is 'off'") as string,
    });
    expect(refusalOf(request({ countSpikes: 1 as unknown as boolean }), limits)?.message).toMatch(/true or false/);
  });

  it("scores prompts as far as one event can hold it", () => {
    const far = { ...limits, contextLength: 100_000 };
    const prompt = Array.from({ length: 2000 }, () => 1);
    expect(refusalOf(request({ prompt, promptLogprobs: 15 }), far)).toBeUndefined();
    const refusal = refusalOf(request({ prompt, promptLogprobs: 20 }), far);
    expect(refusal).toMatchObject({ code: "invalid_request", status: 400, param: "promptLogprobs" });
    expect(refusal?.message).toMatch(/with 20 alternatives a token may score prompts of 1560 tokens; it is 2000/);
  });

  it.each([
    ["another id", { id: "other" }],
    ["other weights", { digest: "0".repeat(64) }],
  ])("refuses %s than its own model", (_name, other) => {
    const refusal = refusalOf(request({ model: { ...testModel, ...other } }), limits);
    expect(refusal).toMatchObject({ code: "model_not_found", status: 404, param: "model" });
    expect(refusal?.message).toContain("model must be 'test-model'");
  });

  it("accepts what is in range", () => {
    expect(refusalOf(request(), limits)).toBeUndefined();
    expect(
      refusalOf(request({ prompt: [99], maxTokens: 49, stopTokens: [0, 99], topLogprobs: 20, promptLogprobs: 0 }), limits),
    ).toBeUndefined();
    expect(
      refusalOf(request({ allowedTokens: [99], bannedSeries: [[0, 99]], constraint: { kind: "json_schema", text: "true" } }), limits),
    ).toBeUndefined();
    expect(
      refusalOf(request({ sampling: { temperature: 2, topP: 0.01, repetitionPenalty: 2, logitBias: [[99, -100]] } }), limits),
    ).toBeUndefined();
  });

  it.each<[param: string, changes: RequestChanges, message: RegExp]>([
    ["prompt", { prompt: [] }, /at least one token/],
    ["prompt[1]", { prompt: [1, 100] }, /below the vocabulary size 100; it is 100/],
    ["maxTokens", { maxTokens: -1 }, /it is -1/],
    ["maxTokens", { maxTokens: 1.5 }, /it is 1.5/],
    ["minTokens", { minTokens: Number.NaN }, /it is NaN/],
    ["stopTokens[0]", { stopTokens: [100] }, /from 0 to 99; it is 100/],
    ["allowedTokens[1]", { allowedTokens: [1, 100] }, /from 0 to 99; it is 100/],
    ["allowedTokens", { allowedTokens: [] }, /at least one token id; it is an array of 0/],
    ["bannedSeries[1]", { bannedSeries: [[1], []] }, /at least one token id/],
    ["bannedSeries[0][1]", { bannedSeries: [[1, -1]] }, /from 0 to 99; it is -1/],
    ["bannedSeries", { bannedSeries: Array.from({ length: 129 }, () => [1]) }, /may hold 128 series; it is an array of 129/],
    ["constraint.kind", { constraint: { kind: "xml" as "regex", text: "a" } }, /one of json_schema, json_object, regex, choice, lark/],
    ["constraint.text", { constraint: { kind: "regex", text: "" } }, /must not be empty/],
    ["constraint.text", { constraint: { kind: "regex", text: "a".repeat(65_537) } }, /may have 65536 characters; it is 65537/],
    ["constraint.text", { constraint: { kind: "json_schema", text: "[]" } }, /the JSON of an object/],
    ["constraint.text", { constraint: { kind: "json_schema", text: "{" } }, /the JSON of an object/],
    ["constraint.text", { constraint: { kind: "json_object", text: "{}" } }, /must be empty/],
    ["constraint.text", { constraint: { kind: "choice", text: '["a",""]' } }, /texts that are not empty/],
    ["sampling.temperature", { sampling: { temperature: 2.1 } }, /from 0 to 2; it is 2.1/],
    ["sampling.topK", { sampling: { topK: 1.5 } }, /an integer from 0/],
    ["sampling.topP", { sampling: { topP: 0 } }, /above 0 and up to 1; it is 0/],
    ["sampling.minP", { sampling: { minP: -0.1 } }, /it is -0.1/],
    ["sampling.repetitionPenalty", { sampling: { repetitionPenalty: 0 } }, /above 0/],
    ["sampling.presencePenalty", { sampling: { presencePenalty: Number.POSITIVE_INFINITY } }, /it is Infinity/],
    ["sampling.frequencyPenalty", { sampling: { frequencyPenalty: -2.5 } }, /it is -2.5/],
    ["sampling.seed", { sampling: { seed: 2 ** 53 } }, /it is 9007199254740992/],
    ["sampling.seed", { sampling: { seed: "18446744073709551616" } }, /the decimal digits of one up to 18446744073709551615/],
    ["share", { share: "x".repeat(65) }, /at most 64 characters/],
    ["priority", { priority: "urgent" as "background" }, /must be one of interactive, background/],
    ["sampling.logitBias[0][0]", { sampling: { logitBias: [[100, 0]] } }, /from 0 to 99/],
    [
      "sampling.logitBias[1][1]",
      {
        sampling: {
          logitBias: [
            [1, 0],
            [2, 101],
          ],
        },
      },
      /from -100 to 100; it is 101/,
    ],
    ["topLogprobs", { topLogprobs: 21 }, /from 0 to 20; it is 21/],
    ["reportState", { reportState: 1 as unknown as boolean }, /true or false; it is 1/],
    ["promptLogprobs", { promptLogprobs: -1 }, /it is -1/],
  ])("names %s", (param, changes, message) => {
    const failure = refusalOf(request(changes), limits);
    expect(failure).toMatchObject({ code: "invalid_request", status: 400, param, retryable: false });
    expect(failure?.message).toMatch(message);
    expect(failure?.message).toContain(param);
  });

  it.each(["prompt", "stopTokens", "sampling", "requestId"])("names %s when it is of another kind altogether", (field) => {
    const broken = { ...request(), [field]: 7 };
    expect(refusalOf(broken, limits)).toMatchObject({ code: "invalid_request", param: field });
  });

  it("refuses prompt and completion that together are too long", () => {
    expect(refusalOf(request({ prompt: [1], maxTokens: 50 }), limits)).toMatchObject({ code: "context_length_exceeded", status: 400 });
  });
});
