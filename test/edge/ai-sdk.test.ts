/** The AI SDK through its provider for OpenAI-compatible services. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import { expect, test } from "vitest";
import { modelId, stackUrl } from "../support/edge-client.ts";

const provider = createOpenAICompatible({ name: "spikingbrain", baseURL: `${stackUrl}/v1`, apiKey: "sk-any", includeUsage: true });
const settings = { model: provider.chatModel(modelId), prompt: "Say hello.", temperature: 0, maxOutputTokens: 12, seed: 1, maxRetries: 0 };

test("generated and streamed text agree, with usage and a reason", async () => {
  const whole = await generateText(settings);
  expect(whole.text.length).toBeGreaterThan(0);
  expect(["stop", "length"]).toContain(whole.finishReason);

  const stream = streamText(settings);
  let text = "";
  for await (const part of stream.textStream) text += part;
  expect(text).toBe(whole.text);
  expect(await stream.finishReason).toBe(whole.finishReason);
  expect((await stream.usage).outputTokens).toBe(whole.usage.outputTokens);
  expect(whole.usage.outputTokens).toBeGreaterThan(0);
});

test("without a temperature, which the SDK does not send by itself, the model's own holds", async () => {
  const { temperature: _greedy, ...named } = settings;
  const ask = async (changes: object) => (await generateText({ ...named, maxOutputTokens: 24, ...changes })).text;
  const own = await ask({});
  expect(own).toBe(await ask({ temperature: 0.2, topP: 0.9 }));
  expect(own).not.toBe(await ask({ temperature: 1, topP: 1 }));
});

test("a conversation with a system prompt", async () => {
  const answer = await generateText({
    ...settings,
    prompt: undefined as never,
    instructions: "You answer in one word.",
    messages: [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello" },
      { role: "user", content: [{ type: "text", text: "Again, please." }] },
    ],
  });
  expect(answer.text.length).toBeGreaterThan(0);
});

test("a refusal reaches the caller with its status", async () => {
  const unknown = generateText({ ...settings, model: provider.chatModel("none") });
  await expect(unknown).rejects.toMatchObject({ statusCode: 404 });
});
