/** OpenAI's own JavaScript client, changed in nothing but its base URL. */
import OpenAI, { BadRequestError, NotFoundError } from "openai";
import { zodFunction, zodResponseFormat, zodResponsesFunction } from "openai/helpers/zod";
import { describe, expect, test } from "vitest";
import * as z from "zod";
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

test("structured output: the client's own parser takes what comes, whole and streamed", async () => {
  const person = z.strictObject({
    name: z.enum(["Ada", "Bo"]),
    age: z.int().min(1).max(99),
    likes: z.array(z.enum(["tea", "rain"])).max(3),
  });
  const asked = {
    ...settings,
    max_completion_tokens: 120,
    messages: [{ role: "user" as const, content: "Who are you?" }],
    response_format: zodResponseFormat(person, "person"),
  };
  const { choices } = await client.chat.completions.parse(asked);
  expect(choices[0]?.finish_reason).toBe("stop");
  expect(person.safeParse(choices[0]?.message.parsed).success).toBe(true);
  const stream = client.chat.completions.stream(asked);
  expect((await stream.finalChatCompletion()).choices[0]?.message.parsed).toEqual(choices[0]?.message.parsed);
  const drawn = await client.chat.completions.create({ ...asked, temperature: 1.2, n: 3, logprobs: true, top_logprobs: 1 });
  for (const { message } of drawn.choices) expect(person.safeParse(JSON.parse(message.content ?? "")).success).toBe(true);
  const refused = client.chat.completions.create({
    ...settings,
    response_format: { type: "json_schema", json_schema: { name: "x", schema: { not: {} } } },
  });
  await expect(refused).rejects.toMatchObject({ status: 400, param: "response_format.json_schema.schema" });
});

describe("tools", () => {
  const place = z.strictObject({ city: z.enum(["Rome", "Oslo"]), days: z.int().min(1).max(9) });
  const asked = {
    ...settings,
    max_completion_tokens: 80,
    messages: [{ role: "user" as const, content: "How warm will it be in Oslo tomorrow?" }],
  };

  test("the client's runner calls the function with arguments that fit, whole and streamed", async () => {
    const given: unknown[] = [];
    const weather = zodFunction({
      name: "weather",
      parameters: place,
      description: "Tells the weather of a city.",
      function: (args) => {
        given.push(place.parse(args));
        return "7 degrees";
      },
    });
    const tools = { ...asked, tools: [weather], tool_choice: { type: "function" as const, function: { name: "weather" } } };
    expect(await client.chat.completions.runTools(tools).finalFunctionToolCallResult()).toBe("7 degrees");
    expect(await client.chat.completions.runTools({ ...tools, stream: true }).finalFunctionToolCallResult()).toBe("7 degrees");
    expect(given).toHaveLength(2);
    expect(given[1]).toEqual(given[0]);
  });

  test("what the function gave is answered, and the client's parser takes calls, of chats and of responses", async () => {
    const weather = { name: "weather", parameters: place };
    const { choices } = await client.chat.completions.parse({
      ...asked,
      tools: [zodFunction(weather)],
      tool_choice: "required",
      parallel_tool_calls: false,
    });
    const [choice] = choices;
    const [call] = choice?.message.tool_calls ?? [];
    const parsedCall = call?.type === "function" ? call.function.parsed_arguments : undefined;
    expect([choice?.finish_reason, place.safeParse(parsedCall).success]).toEqual(["tool_calls", true]);
    const answered = await client.chat.completions.create({
      ...settings,
      messages: [...asked.messages, choice?.message as never, { role: "tool", tool_call_id: call?.id ?? "", content: "7 degrees" }],
    });
    expect(answered.choices[0]?.message.content?.length).toBeGreaterThan(0);

    const order = { model: modelId, input: "How warm is Oslo?", temperature: 0, max_output_tokens: 80, parallel_tool_calls: false };
    const tools = [zodResponsesFunction(weather)];
    const runner = client.responses.stream({ ...order, tools, tool_choice: "required" });
    const [item] = (await runner.finalResponse()).output;
    expect(item).toMatchObject({ type: "function_call", name: "weather", status: "completed" });
    const { call_id: id, parsed_arguments: parsed } = item as unknown as { call_id: string; parsed_arguments: unknown };
    expect(place.safeParse(parsed).success).toBe(true);
    const next = await client.responses.create({
      ...{ ...order, max_output_tokens: 12, tools, tool_choice: "auto", previous_response_id: (await runner.finalResponse()).id },
      input: [{ type: "function_call_output", call_id: id, output: "7 degrees" }],
    });
    expect(next.usage?.input_tokens_details.cached_tokens).toBeGreaterThan(100);
  });
});

test("errors become the client's own classes", async () => {
  await expect(client.chat.completions.create({ ...settings, model: "gpt-none" })).rejects.toBeInstanceOf(NotFoundError);
  const refusal = client.chat.completions.create({ ...settings, audio: { format: "wav", voice: "alloy" } });
  await expect(refusal).rejects.toBeInstanceOf(BadRequestError);
  await expect(refusal).rejects.toMatchObject({ status: 400, code: "unsupported_field", param: "audio" });
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

test("decisions, by the client's own method", async () => {
  const decided = await client.decisions.create({
    model: modelId,
    input: "The ships came home over a calm sea.",
    questions: [
      { type: "predicate", name: "sea", instructions: "It is about the sea." },
      { type: "choice", name: "what", instructions: "What came home?", choices: [{ value: "ships" }, { value: "trains" }] },
      { type: "score", instructions: "How calm is it?", levels: [{ label: "wild" }, { label: "calm" }] },
    ],
  });
  expect(decided.answers.map(({ type, name }) => [type, name])).toEqual([
    ["predicate", "sea"],
    ["choice", "what"],
    ["score", null],
  ]);
  expect(decided.usage.output_tokens).toBe(6);
});

describe("responses", () => {
  const asked = { model: modelId, input: "Say hello.", temperature: 0, max_output_tokens: 12, seed: 1 };

  test("by the client's helpers: whole, streamed, retrieved and followed, they are the same answer", async () => {
    const whole = await client.responses.create(asked);
    expect(whole.output_text).toBe((await client.chat.completions.create(settings)).choices[0]?.message.content);
    expect((await client.responses.parse(asked)).output_text).toBe(whole.output_text);

    const types: string[] = [];
    const runner = client.responses.stream(asked);
    for await (const event of runner) types.push(event.type);
    const streamed = await runner.finalResponse();
    expect(types[0]).toBe("response.created");
    expect(types.filter((type) => ["response.completed", "response.incomplete"].includes(type))).toEqual([types.at(-1)]);
    expect([streamed.output_text, streamed.status]).toEqual([whole.output_text, whole.status]);

    const stored = await client.responses.retrieve(streamed.id);
    expect(stored).toMatchObject({ id: streamed.id, status: whole.status, usage: { output_tokens: whole.usage?.output_tokens } });
    const events = [];
    for await (const event of await client.responses.retrieve(streamed.id, { stream: true, starting_after: 3 })) events.push(event);
    expect(events.map(({ type }) => type)).toEqual(types.slice(4));
    const replayed = await client.responses.stream({ response_id: streamed.id }).finalResponse();
    expect(replayed.output_text).toBe(whole.output_text);

    const next = await client.responses.create({ ...asked, input: "And again.", previous_response_id: streamed.id });
    const count = await client.responses.inputTokens.count({ model: modelId, input: "And again.", previous_response_id: streamed.id });
    expect(next.usage?.input_tokens).toBe(count.input_tokens);
    expect(next.usage?.input_tokens_details.cached_tokens).toBeGreaterThan(whole.usage?.input_tokens ?? 0);
    const items = [];
    for await (const item of client.responses.inputItems.list(next.id)) items.push(item);
    expect(items).toMatchObject([{ type: "message", role: "user", content: [{ type: "input_text", text: "And again." }] }]);
    await client.responses.delete(next.id);
    await expect(client.responses.retrieve(next.id)).rejects.toBeInstanceOf(NotFoundError);
  });

  test("in the background are polled and cancelled, and in a conversation they are its items", async () => {
    const begun = await client.responses.create({ ...asked, background: true, max_output_tokens: 2000, ignore_eos: true } as typeof asked);
    expect(begun.status).toBe("in_progress");
    const cancelled = await client.responses.cancel(begun.id);
    expect([cancelled.status, (await client.responses.retrieve(begun.id)).status]).toEqual(["cancelled", "cancelled"]);

    const { id: conversation } = await client.conversations.create({ metadata: { of: "test" } });
    const said = await client.responses.create({ ...asked, conversation });
    const items = await client.conversations.items.list(conversation, { order: "asc" });
    expect(items.data).toMatchObject([{ role: "user" }, { role: "assistant", content: [{ text: said.output_text }] }]);
    expect((await client.conversations.delete(conversation)).deleted).toBe(true);
  });
});
