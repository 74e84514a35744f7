/** OpenAI's own JavaScript client, changed in nothing but its base URL. */
import OpenAI, { BadRequestError, NotFoundError } from "openai";
import { expect, test } from "vitest";
import { modelId, stackUrl } from "../support/edge-client.ts";

const client = new OpenAI({ baseURL: `${stackUrl}/v1`, apiKey: "sk-any", maxRetries: 0 });
const messages = [{ role: "user" as const, content: "Say hello." }];
const settings = { model: modelId, messages, temperature: 0, max_completion_tokens: 12, seed: 1 };

test("chat, whole and streamed, agree", async () => {
  const whole = await client.chat.completions.create(settings);
  const text = whole.choices[0]?.message.content ?? "";
  expect(text.length).toBeGreaterThan(0);
  expect(whole.usage?.total_tokens).toBe((whole.usage?.prompt_tokens ?? 0) + (whole.usage?.completion_tokens ?? 0));

  const stream = await client.chat.completions.create({ ...settings, stream: true, stream_options: { include_usage: true } });
  let streamed = "";
  let reason: string | null = null;
  let usage: OpenAI.CompletionUsage | null | undefined;
  for await (const chunk of stream) {
    streamed += chunk.choices[0]?.delta.content ?? "";
    reason = chunk.choices[0]?.finish_reason ?? reason;
    usage = chunk.usage ?? usage;
  }
  expect(streamed).toBe(text);
  expect(reason).toBe(whole.choices[0]?.finish_reason);
  expect(usage).toEqual({ ...whole.usage, prompt_tokens_details: usage?.prompt_tokens_details });
});

test("the same request again finds the state of the one before", async () => {
  // A store that a busy machine makes slow is not waited for.
  const cached = async () => (await client.chat.completions.create(settings)).usage?.prompt_tokens_details?.cached_tokens;
  await expect.poll(cached, { timeout: 60_000 }).toBeGreaterThan(0);
});

test("the client's streaming helper assembles the same answer", async () => {
  const runner = client.chat.completions.stream(settings);
  const final = await runner.finalChatCompletion();
  expect(final.choices[0]?.message.content).toBe((await client.chat.completions.create(settings)).choices[0]?.message.content);
});

test("several choices, log-probabilities, models, completions", async () => {
  const several = await client.chat.completions.create({ ...settings, temperature: 1, n: 3, logprobs: true, top_logprobs: 2 });
  expect(several.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
  expect(several.choices.every(({ logprobs }) => logprobs?.content?.[0]?.top_logprobs.length === 2)).toBe(true);
  expect((await client.models.list()).data.map(({ id }) => id)).toContain(modelId);
  expect((await client.models.retrieve(modelId)).id).toBe(modelId);
  const completion = await client.completions.create({ model: modelId, prompt: ["The sky is", "Grass is"], max_tokens: 2, temperature: 0 });
  expect(completion.choices).toHaveLength(2);
});

test("errors become the client's own classes", async () => {
  await expect(client.chat.completions.create({ ...settings, model: "gpt-none" })).rejects.toBeInstanceOf(NotFoundError);
  const refusal = client.chat.completions.create({ ...settings, response_format: { type: "json_object" } });
  await expect(refusal).rejects.toBeInstanceOf(BadRequestError);
  await expect(refusal).rejects.toMatchObject({ status: 400, code: "unsupported_field", param: "response_format" });
});

test("aborting a stream ends it, and the next request is answered", async () => {
  const stream = await client.chat.completions.create({ ...settings, max_completion_tokens: 200, stream: true });
  let chunks = 0;
  for await (const chunk of stream) {
    chunks += chunk.choices.length;
    if (chunks > 3) break;
  }
  expect(stream.controller.signal.aborted).toBe(true);
  expect((await client.chat.completions.create(settings)).choices).toHaveLength(1);
});
