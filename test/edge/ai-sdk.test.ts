/** The AI SDK through its provider for OpenAI-compatible services. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { expect, test } from "vitest";
import * as z from "zod";
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

const place = z.object({ city: z.enum(["Rome", "Oslo"]), days: z.int().min(1).max(9) });

test("an object that fits its schema", async () => {
  const held = createOpenAICompatible({ name: "held", baseURL: `${stackUrl}/v1`, apiKey: "sk-any", supportsStructuredOutputs: true });
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- programs that use it are to run unchanged
  const { object } = await generateObject({ ...settings, model: held.chatModel(modelId), maxOutputTokens: 80, schema: place });
  expect(place.safeParse(object).success).toBe(true);
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- as above
  const streamed = streamObject({ ...settings, model: held.chatModel(modelId), maxOutputTokens: 80, schema: place });
  let partly: unknown;
  for await (const part of streamed.partialObjectStream) partly = part;
  expect([await streamed.object, partly]).toEqual([object, object]);
});

test("tools: a call, what it gave, and an answer to that, whole and streamed", async () => {
  const given: z.output<typeof place>[] = [];
  const weather = tool({
    description: "Tells the weather of a city.",
    inputSchema: place,
    execute: (input) => {
      given.push(input);
      return Promise.resolve({ degrees: 7 });
    },
  });
  const asked = { ...settings, prompt: "How warm is Oslo?", maxOutputTokens: 60, tools: { weather } };
  const steps = {
    stopWhen: stepCountIs(2),
    prepareStep: ({ stepNumber }: { stepNumber: number }) => ({
      toolChoice: stepNumber === 0 ? { type: "tool" as const, toolName: "weather" as const } : ("none" as const),
    }),
  };
  const whole = await generateText({ ...asked, ...steps });
  expect(whole.steps.map(({ finishReason }) => finishReason)).toEqual(["tool-calls", expect.stringMatching(/^(stop|length)$/)]);
  expect(whole.steps[0]?.toolResults[0]?.output).toEqual({ degrees: 7 });
  const called = given.length;
  expect(called).toBeGreaterThan(0);
  const stream = streamText({ ...asked, ...steps });
  await stream.consumeStream();
  expect(await stream.text).toBe(whole.text);
  expect(given.slice(called)).toEqual(given.slice(0, called));
});

test("a refusal reaches the caller with its status", async () => {
  const unknown = generateText({ ...settings, model: provider.chatModel("none") });
  await expect(unknown).rejects.toMatchObject({ statusCode: 404 });
});
