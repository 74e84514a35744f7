/** Anthropic's messages over HTTP: their shapes, their events in their order, their errors. */
import { beforeEach, describe, expect, test } from "vitest";
import { messagesError } from "../../../workers/gateway/openapi/message-answers.ts";
import { answerShapes } from "../../../workers/gateway/openapi/answers.ts";
import { chat, json, post, readToEnd, request, requestWith, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { called, hi, lookUp, message, messageEvents } from "../support/message-client.ts";
import { scriptedFailure } from "../support/toy-backend.ts";
import { bytesAsTokens, idOf } from "../support/tiny-tokenizer.ts";

beforeEach(() => engine.use({ reply: [idOf("hello"), idOf("Ġworld")] }));

const promptOf = (call = 0): number[] => Array.from(engine.calls[call]?.prompt ?? []);
const saidError = async (response: Response) => messagesError.parse(await response.json());

test("a message, in all of its fields", async () => {
  const response = await message();
  const requestId = response.headers.get("request-id") ?? "";
  expect(await response.json()).toEqual({
    ...{ id: `msg_${requestId}`, type: "message", role: "assistant", model: "tiny" },
    content: [{ type: "text", text: "hello world", citations: null }],
    ...{ stop_reason: "end_turn", stop_sequence: null, stop_details: null, container: null, diagnostics: null },
    usage: {
      ...{ input_tokens: 21, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 2 },
      ...{ output_tokens_details: null, server_tool_use: null, cache_creation: null, inference_geo: null },
      ...{ service_tier: "standard", speed: null },
    },
  });
  expect(await (await message({ max_tokens: 1 })).json()).toMatchObject({ stop_reason: "max_tokens", usage: { output_tokens: 1 } });
});

test("a system text, blocks of text and one speaker's messages in a row are the chat that they mean", async () => {
  const cached = { cache_control: { type: "ephemeral", ttl: "1h" } };
  const block = (text: string, more: Json = {}) => ({ type: "text", text, ...more });
  await message({
    system: [block("Be"), block("brief", cached)],
    messages: [
      { role: "user", content: [block("hi", cached), block("there")] },
      { role: "user", content: "you" },
      { role: "assistant", content: [block("hel", { citations: null })] },
    ],
    ...{ top_k: 5, top_p: 0.5, temperature: 0.5, stop_sequences: ["never"], metadata: { user_id: "u" }, thinking: { type: "disabled" } },
  });
  await chat({
    messages: [
      { role: "system", content: "Be\nbrief" },
      { role: "user", content: "hi\nthere\nyou" },
      { role: "assistant", content: "hel" },
    ],
  });
  expect(promptOf(0)).toEqual(promptOf(1));
  expect(engine.calls[0]).toMatchObject({ maxTokens: 8, sampling: { topK: 5, topP: 0.5, temperature: 0.5 } });
});

test("a stop sequence is named", async () => {
  expect(await (await message({ stop_sequences: ["never", "lo wo", "wor"] })).json()).toMatchObject({
    ...{ content: [{ text: "hel" }], stop_reason: "stop_sequence", stop_sequence: "lo wo" },
  });
  const lines = messageEvents(await (await message({ stop_sequences: [" wor"], stream: true })).text());
  expect(lines.at(-2)).toMatchObject({ delta: { stop_reason: "stop_sequence", stop_sequence: " wor" } });
});

test("text that is held to a schema", async () => {
  const schema = { type: "object", properties: { a: { const: 1 } }, required: ["a"], additionalProperties: false };
  const format = { type: "json_schema", schema };
  const { content } = await (await message({ max_tokens: 50, output_config: { format } })).json<{ content: { text: string }[] }>();
  expect(content[0]?.text).toBe('{"a":1}');
  const refused = await message({ output_config: { format: { type: "json_schema", schema: { not: {} } } } });
  expect([refused.status, (await saidError(refused)).error.message]).toEqual([
    400,
    expect.stringContaining("'output_config.format.schema'"),
  ]);
});

describe("a stream", () => {
  test("has their events in their order, and ends with message_stop alone", async () => {
    const response = await message({ stream: true });
    const text = await response.text();
    const events = messageEvents(text);
    const deltas = ["content_block_delta", "content_block_delta"];
    expect(events.map(({ type }) => type)).toEqual([
      ...["message_start", "ping", "content_block_start", ...deltas, "content_block_stop", "message_delta", "message_stop"],
    ]);
    expect(events.map(({ delta }) => delta?.text ?? "").join("")).toBe("hello world");
    expect(events[0]?.message?.usage).toMatchObject({ input_tokens: 21, output_tokens: 0 });
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: "end_turn" }, usage: { input_tokens: 21, output_tokens: 2 } });
    expect(text).not.toContain("[DONE]");

    // It can be read again, and gone on with from any event that has an id.
    const again = (headers: Record<string, string>) =>
      request(`/v1/streams/${response.headers.get("x-spikingbrain-stream") ?? ""}`, { headers });
    expect(messageEvents(await (await again({})).text())).toEqual(events);
    const ids = [...text.matchAll(/^id: (\S+)$/gm)].map(([, id = ""]) => id);
    expect(messageEvents(await (await again({ "last-event-id": ids[0] ?? "" })).text())).toEqual(events.slice(4));
  });

  test("of nothing has no content", async () => {
    engine.use({ reply: [] });
    const events = messageEvents(await (await message({ stream: true })).text());
    expect(events.map(({ type }) => type)).toEqual(["message_start", "ping", "message_delta", "message_stop"]);
    expect(await (await message()).json()).toMatchObject({ content: [], stop_reason: "end_turn" });
  });

  test("that breaks off ends in one error event, and the connection breaks", async () => {
    engine.use({ reply: bytesAsTokens("abcdef"), breakAt: { token: 3, how: "error" } });
    const { text, clean } = await readToEnd(await message({ stream: true, temperature: 0 }));
    const events = messageEvents(text);
    expect(clean).toBe(false);
    expect(events.filter(({ type }) => ["error", "message_stop"].includes(type))).toMatchObject([{ type: "error" }]);
    expect(events.at(-1)?.type).toBe("error");
  });
});

test("a prompt that is remembered is read from the cache, and said to be", async () => {
  const headers = { "x-api-key": "sk-anthropic-cache" };
  const body = { ...hi, system: "word ".repeat(60) };
  const usage = async () => (await (await request("/v1/messages", json(body, headers))).json<{ usage: Record<string, number> }>()).usage;
  const first = await usage();
  expect(first).toMatchObject({ cache_read_input_tokens: 0 });
  await expect.poll(async () => (await usage())["cache_read_input_tokens"]).toBeGreaterThan(0);
  const next = await usage();
  expect((next["input_tokens"] ?? 0) + (next["cache_read_input_tokens"] ?? 0)).toBe(first["input_tokens"]);
  const [start] = messageEvents(await (await request("/v1/messages", json({ ...body, stream: true }, headers))).text());
  expect(start?.message?.usage).toMatchObject({
    cache_read_input_tokens: next["cache_read_input_tokens"],
    input_tokens: next["input_tokens"],
  });
});

test("count_tokens counts what a message would read", async () => {
  const body = { model: "tiny", system: "Be brief", messages: [{ role: "user", content: "hi" }] };
  const { usage } = await (await message(body)).json<{ usage: { input_tokens: number } }>();
  const counted: unknown = await (await post("/v1/messages/count_tokens", body)).json();
  expect(answerShapes.MessageTokens.parse(counted)).toEqual({ input_tokens: usage.input_tokens });
  const refused = await post("/v1/messages/count_tokens", { ...body, max_tokens: 1 });
  expect([refused.status, (await saidError(refused)).error]).toEqual([
    400,
    { type: "invalid_request_error", message: "Unknown field: 'max_tokens'." },
  ]);
});

describe("what is refused", () => {
  test.each<[string, Json, string]>([
    ["a tool of another kind", { tools: [{ type: "bash_20250124", name: "bash", input_schema: { type: "object" } }] }, "tools[0].type"],
    ["a tool without a schema", { tools: [{ name: "f" }] }, "tools[0].input_schema"],
    ["a schema that no text can be held to", { tools: [{ name: "f", input_schema: { not: {} } }] }, "tools[0].input_schema"],
    ["two tools of one name", { tools: [lookUp, lookUp] }, "tools[1].name"],
    ["a choice of no tool", { tools: [lookUp], tool_choice: { type: "tool", name: "g" } }, "tool_choice.name"],
    ["a choice without tools", { tool_choice: { type: "any" } }, "tool_choice"],
    ["a call of the user's", { messages: [{ role: "user", content: [called] }] }, "messages[0].content[0].type"],
    ["thinking", { thinking: { type: "enabled", budget_tokens: 1024 } }, "thinking"],
    ["thinking that is disabled and has a budget", { thinking: { type: "disabled", budget_tokens: 1024 } }, "thinking"],
    ["an image", { messages: [{ role: "user", content: [{ type: "image", source: {} }] }] }, "messages[0].content[0].type"],
    [
      "a result of no call",
      { messages: [{ role: "user", content: [{ type: "tool_result", tool_use_id: "x" }] }] },
      "messages[0].content[0].tool_use_id",
    ],
    ["an effort", { output_config: { effort: "high" } }, "output_config.effort"],
    ["models of theirs in its place", { fallbacks: [{ model: "claude" }] }, "fallbacks"],
    ["a format under its older name", { output_format: { type: "json_schema", schema: {} } }, "output_format"],
    ["a server of tools", { mcp_servers: [{}] }, "mcp_servers"],
    ["a field that nobody knows", { prompt: "a" }, "prompt"],
    ["no length", { max_tokens: null }, "max_tokens"],
    ["a temperature beyond theirs", { temperature: 1.5 }, "temperature"],
    ["an empty stop sequence", { stop_sequences: [""] }, "stop_sequences[0]"],
    ["a role that nobody knows", { messages: [{ role: "tool", content: "" }] }, "messages[0].role"],
    ["a longer answer than the context", { messages: [{ role: "user", content: "a".repeat(600) }] }, "messages"],
  ])("%s is an error of theirs that names it", async (_name, body, field) => {
    const response = await message(body);
    const { error, request_id: id } = await saidError(response);
    expect([response.status, error.type, id]).toEqual([400, "invalid_request_error", response.headers.get("request-id")]);
    expect(error.message).toContain(`'${field}'`);
    expect(engine.calls).toHaveLength(0);
  });

  test("a thread of the server's, in the words on which their tool runners go on without one", async () => {
    const { error } = await saidError(await message({ thread: { type: "create" } }));
    expect(error.message).toMatch(/^'thread' is not supported.*send the whole conversation/);
    expect(error.details).toEqual({ error_code: "thread_unsupported_request", unsupported: ["thread"] });
  });

  test("whatever it is for, in their shape", async () => {
    const wrong = async (response: Response | Promise<Response>) => {
      const { status } = await response;
      return [status, (await saidError(await response)).error.type];
    };
    expect(await wrong(message({ model: "claude" }))).toEqual([404, "not_found_error"]);
    expect(await wrong(request("/v1/messages"))).toEqual([405, "invalid_request_error"]);
    expect(await wrong(request("/v1/messages/batches"))).toEqual([404, "not_found_error"]);
    expect(await wrong(request("/v1/messages", json(hi, { "anthropic-version": "2020-01-01" })))).toEqual([400, "invalid_request_error"]);
    const huge = { ...hi, messages: [{ role: "user", content: "a".repeat(5_000_000) }] };
    expect(await wrong(message(huge))).toEqual([413, "request_too_large"]);
    engine.use({ refuse: scriptedFailure });
    expect(await wrong(message())).toEqual([503, "overloaded_error"]);
  });

  test("a missing or wrong key; theirs is one of x-api-key, and two that differ are none", async () => {
    const variables = { API_KEYS: "sk-one" };
    const send = (headers: Record<string, string>) => requestWith(variables, "/v1/messages", json(hi, headers));
    const missing = await send({});
    expect([missing.status, (await saidError(missing)).error.type]).toEqual([401, "authentication_error"]);
    expect((await send({ "x-api-key": "sk-two" })).status).toBe(401);
    const both = await send({ "x-api-key": "sk-two", authorization: "Bearer sk-one" });
    expect([both.status, (await saidError(both)).error.message]).toEqual([400, expect.stringContaining("'x-api-key'")]);
    for (const headers of [{ "x-api-key": "sk-one" }, { authorization: "Bearer sk-one" }])
      expect((await send({ ...headers, "anthropic-version": "2026-10-21", "anthropic-beta": "x" })).status).toBe(200);
  });
});
