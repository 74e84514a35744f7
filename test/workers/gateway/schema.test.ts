import { beforeEach, expect, test } from "vitest";
import { chat, complete, failure, post, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { bytesAsTokens } from "../support/tiny-tokenizer.ts";

beforeEach(() => engine.use({ reply: bytesAsTokens("ok") }));

const user = (content: unknown, more: Json = {}) => ({ messages: [{ role: "user", content, ...more }] });

const refusedChats: readonly (readonly [name: string, body: Json, code: string, param: string])[] = [
  ["an unknown field", { temprature: 1 }, "unknown_field", "temprature"],
  ["an unknown field of a message", user("hi", { mood: "good" }), "unknown_field", "messages[0].mood"],
  ["an unknown stream option", { stream: true, stream_options: { usage: true } }, "unknown_field", "stream_options.usage"],
  ["a tool of no kind", { tools: [{ type: "spell" }] }, "invalid_request", "tools[0].type"],
  ["functions", { functions: [{ name: "f" }] }, "unsupported_field", "functions"],
  ["a response format of no kind", { response_format: { type: "xml" } }, "invalid_request", "response_format.type"],
  ["audio", { audio: { voice: "x" } }, "unsupported_field", "audio"],
  ["modalities beyond text", { modalities: ["text", "audio"] }, "unsupported_field", "modalities"],
  [
    "an image part",
    user([
      { type: "text", text: "a" },
      { type: "image_url", image_url: { url: "x" } },
    ]),
    "unsupported_field",
    "messages[0].content[1].type",
  ],
  ["an unknown role", { messages: [{ role: "wizard", content: "x" }] }, "invalid_request", "messages[0].role"],
  ["a speaker's name of two words", user("hi", { name: "Ada L" }), "invalid_request", "messages[0].name"],
  ["no messages", { messages: [] }, "invalid_request", "messages"],
  ["content of a wrong type", user(5), "invalid_request", "messages[0].content"],
  ["a temperature out of range", { temperature: 2.5 }, "invalid_request", "temperature"],
  ["a temperature that is text", { temperature: "1" }, "invalid_request", "temperature"],
  ["top_p of zero", { top_p: 0 }, "invalid_request", "top_p"],
  ["n beyond its bound", { n: 9 }, "invalid_request", "n"],
  ["a fractional max_tokens", { max_tokens: 1.5 }, "invalid_request", "max_tokens"],
  ["max_tokens of zero", { max_tokens: 0 }, "invalid_request", "max_tokens"],
  ["two different token limits", { max_tokens: 3, max_completion_tokens: 4 }, "invalid_request", "max_completion_tokens"],
  ["too many stop strings", { stop: Array.from({ length: 17 }, String) }, "invalid_request", "stop"],
  ["an empty stop string", { stop: [""] }, "invalid_request", "stop[0]"],
  ["a long stop string", { stop: "x".repeat(257) }, "invalid_request", "stop[0]"],
  ["top_logprobs alone", { top_logprobs: 3 }, "invalid_request", "top_logprobs"],
  ["too many top_logprobs", { logprobs: true, top_logprobs: 21 }, "invalid_request", "top_logprobs"],
  ["stream options without a stream", { stream_options: { include_usage: true } }, "invalid_request", "stream_options"],
  ["a bias that is no number", { logit_bias: { 5: "x" } }, "invalid_request", "logit_bias.5"],
  ["a bias of no token", { logit_bias: { five: 1 } }, "invalid_request", "logit_bias.five"],
  ["two biases of one token", { logit_bias: { 104: 1, h: 2 } }, "invalid_request", "logit_bias.h"],
  ["scores of a prompt in a stream", { prompt_logprobs: 1, stream: true }, "invalid_request", "prompt_logprobs"],
  ["scores of a prompt in a session", { prompt_logprobs: 1, session_id: "sess_0" }, "invalid_request", "prompt_logprobs"],
  ["a bias outside the vocabulary", { logit_bias: { 99999: 1 } }, "invalid_request", "logit_bias.99999"],
  ["a stop token outside the vocabulary", { stop_token_ids: [99999] }, "invalid_request", "stop_token_ids"],
  ["more minimum than maximum tokens", { min_tokens: 9, max_tokens: 8 }, "invalid_request", "min_tokens"],
  ["no model", { model: null }, "invalid_request", "model"],
];

test.each(refusedChats)("chat refuses %s", async (_name, body, code, param) => {
  const response = await chat(body);
  expect(response.status).toBe(400);
  const error = await failure(response);
  expect({ code: error.code, param: error.param, type: error.type }).toEqual({ code, param, type: "invalid_request_error" });
  expect(error.message).toContain("'");
  expect(engine.calls).toHaveLength(0);
});

const refusedCompletions: readonly (readonly [name: string, body: Json, code: string, param: string])[] = [
  ["suffix", { suffix: "x" }, "unsupported_field", "suffix"],
  ["best_of", { best_of: 2 }, "unsupported_field", "best_of"],
  ["messages", { messages: [] }, "unknown_field", "messages"],
  ["an empty prompt", { prompt: "" }, "invalid_request", "prompt"],
  ["no prompts", { prompt: [] }, "invalid_request", "prompt"],
  ["prompts of mixed kinds", { prompt: ["a", 1] }, "invalid_request", "prompt"],
  ["a negative token id", { prompt: [-1] }, "invalid_request", "prompt"],
  ["a token id outside the vocabulary", { prompt: [99999] }, "invalid_request", "prompt"],
  ["too many prompts", { prompt: Array.from({ length: 33 }, () => "a") }, "invalid_request", "prompt"],
  ["too many generations", { prompt: Array.from({ length: 5 }, () => "a"), n: 8 }, "invalid_request", "n"],
  ["boolean logprobs", { logprobs: true }, "invalid_request", "logprobs"],
];

test.each(refusedCompletions)("completions refuses %s", async (_name, body, code, param) => {
  const response = await complete(body);
  expect(response.status).toBe(400);
  const error = await failure(response);
  expect({ code: error.code, param: error.param }).toEqual({ code, param });
  expect(engine.calls).toHaveLength(0);
});

test.each<readonly [name: string, body: Json]>([
  [
    "fields that cannot matter",
    { user: "u", metadata: { a: "b" }, store: true, service_tier: "auto", safety_identifier: "s", prompt_cache_key: "k" },
  ],
  [
    "null for every optional field",
    { temperature: null, top_p: null, n: null, stop: null, seed: null, logit_bias: null, stream: null, tools: null, max_tokens: null },
  ],
  [
    "values that ask for nothing",
    { response_format: { type: "text" }, tool_choice: "none", modalities: ["text"], parallel_tool_calls: true },
  ],
  [
    "text parts",
    user([
      { type: "text", text: "a" },
      { type: "text", text: "b" },
    ]),
  ],
  [
    "a developer message",
    {
      messages: [
        { role: "developer", content: "Be brief." },
        { role: "user", content: "hi" },
      ],
    },
  ],
  [
    "its own answer sent back",
    {
      messages: [
        { role: "assistant", content: "ok", refusal: null, annotations: [], tool_calls: [] },
        { role: "user", content: "hi" },
      ],
    },
  ],
])("chat accepts %s", async (_name, body) => {
  const response = await chat(body);
  expect(await response.json()).toMatchObject({ choices: [{ message: { content: "ok" } }] });
});

test.each<readonly [string, Json, string]>([
  ["a bias", { logit_bias: { 5: 101 } }, "'logit_bias.5': must be a number from -100 to 100 (got 101)."],
  [
    "an integer that a double does not hold",
    { max_tokens: 1e308 },
    "'max_tokens': Too big: expected number to be <=2147483647 (got 1e+308).",
  ],
  ["one below any", { top_k: -1e308 }, "'top_k': Too small: expected number to be >=-1 (got -1e+308)."],
  [
    "one in a list",
    { stop_token_ids: [2 ** 53] },
    "'stop_token_ids[0]': Too big: expected int to be <=9007199254740991 (got 9007199254740992).",
  ],
  ["too many stop strings", { stop: Array.from({ length: 17 }, String) }, "'stop': Too big: expected array to have <=16 items (got 17)."],
  ["what is no list", { stop: 5 }, "'stop': must be a string or an array of strings (got 5)."],
  [
    "too many parts",
    user(Array.from({ length: 65 }, () => "a")),
    "'messages[0].content': Too big: expected array to have <=64 items (got 65).",
  ],
  ["a string that is too long", { stop: "x".repeat(257) }, "'stop[0]': Too big: expected string to have <=256 characters (got 257)."],
])("a refusal tells the rule that was broken, and the value: %s", async (_name, body, message) => {
  expect((await failure(await chat(body))).message).toBe(message);
});

test("a million bad elements are one refusal", async () => {
  for (const body of [{ prompt: new Array<number>(1_000_000).fill(-1) }, { prompt: new Array<object>(1_000_000).fill({}) }]) {
    expect((await complete(body)).status).toBe(400);
  }
  expect((await chat({ messages: new Array<object>(1_000_000).fill({}) })).status).toBe(400);
  expect((await post("/detokenize", { tokens: new Array<number>(1_000_000).fill(-1) })).status).toBe(400);
});

test("sampling reaches the engine as it was asked for, with explicit defaults", async () => {
  await (await chat({})).json();
  await (
    await chat({
      temperature: 0.5,
      top_p: 0.9,
      top_k: -1,
      min_p: 0.1,
      repetition_penalty: 1.1,
      presence_penalty: 1,
      frequency_penalty: -1,
      logit_bias: { 7: 5 },
      seed: -1,
      max_tokens: 3,
      min_tokens: 1,
      stop_token_ids: [4],
      ignore_eos: true,
    })
  ).json();
  const [plain, full] = engine.calls;
  expect(plain?.sampling).toMatchObject({
    temperature: 1,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    logitBias: [],
  });
  expect(full).toMatchObject({ maxTokens: 3, minTokens: 1, stopTokens: [4] });
  expect(full?.sampling).toEqual({
    temperature: 0.5,
    topK: 0,
    topP: 0.9,
    minP: 0.1,
    repetitionPenalty: 1.1,
    presencePenalty: 1,
    frequencyPenalty: -1,
    logitBias: [[7, 5]],
    seed: "18446744073709551615",
  });
});
