/** Responses as streams, and what becomes of those that break off; and what the Open Responses document asks of either form. */
import { beforeEach, describe, expect, test } from "vitest";
import { responseEvent } from "../../../workers/gateway/openapi/response-answers.ts";
import { failure, readToEnd, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { responseEvents, responseIn, ResponseClient, textOf } from "../support/response-client.ts";
import { assistant, oracle, user } from "../support/session-client.ts";
import { bytesAsTokens } from "../support/tiny-tokenizer.ts";

let alice = new ResponseClient();
beforeEach(() => {
  engine.use({});
  alice = new ResponseClient();
});

const longText = "Tell me of the sea, and of the ships that went down in it long ago ";

describe("streams", () => {
  test("have the document's events in their order, numbered, and one end", async () => {
    const events = await responseEvents(await alice.respond({ input: longText, stream: true }));
    expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_event, at) => at));
    const types = events.map(({ type }) => type).filter((type, at, all) => type !== "response.output_text.delta" || all[at - 1] !== type);
    expect(types).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.incomplete",
    ]);
    const whole = events.at(-1)?.response;
    const text = await oracle([user(longText)]);
    expect(events.flatMap(({ delta = "" }) => delta).join("")).toBe(text);
    expect(events.find(({ type }) => type === "response.output_text.done")).toMatchObject({ text });
    expect(whole === undefined ? "" : textOf(whole)).toBe(text);
    expect(new Set(events.flatMap(({ response }) => response?.id ?? []))).toEqual(new Set([whole?.id]));
    expect(await alice.response(whole?.id ?? "")).toEqual(whole);
    const again = await responseEvents(await alice.call("GET", `/v1/responses/${whole?.id ?? ""}?stream=true`));
    expect(again).toEqual(events);
    for (const after of [0, 3, 6, events.length - 2]) {
      const rest = await alice.call("GET", `/v1/responses/${whole?.id ?? ""}?stream=true&starting_after=${String(after)}`);
      expect(await responseEvents(rest)).toEqual(events.slice(after + 1));
    }
  });

  test("in the background go on without a reader, and are cancelled by name", async () => {
    engine.use({ delayMilliseconds: 20 });
    const begun = await alice.made({ input: longText, background: true, max_output_tokens: 200 });
    expect(begun).toMatchObject({ status: "in_progress", background: true, output: [], usage: null });
    expect(await alice.response(begun.id)).toEqual(begun);
    expect((await alice.items(begun.id)).data).toMatchObject([{ role: "user" }]);
    const early = await alice.respond({ input: "And?", previous_response_id: begun.id });
    expect([early.status, (await failure(early)).param]).toEqual([409, "previous_response_id"]);
    const cancelled = await responseIn(await alice.call("POST", `/v1/responses/${begun.id}/cancel`));
    expect(cancelled).toMatchObject({ id: begun.id, status: "cancelled" });
    expect(await alice.response(begun.id)).toEqual(cancelled);
    expect(await responseIn(await alice.call("POST", `/v1/responses/${begun.id}/cancel`))).toEqual(cancelled);
    engine.use({});
    const next = await alice.made({ input: "And?", previous_response_id: begun.id });
    expect(textOf(next)).toBe(await oracle([user(longText), assistant(textOf(cancelled)), user("And?")]));
  });
});

describe("what breaks off", () => {
  const reply = bytesAsTokens("abcdef");

  test("is told by one event that ends the stream cleanly, and found as failed afterwards", async () => {
    engine.use({ reply, breakAt: { token: 3, how: "error" } });
    const events = await responseEvents(await alice.respond({ input: "Hi", stream: true, logit_bias: {} }));
    expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_event, at) => at));
    const ends = events.filter(({ type }) => ["response.completed", "response.incomplete", "response.failed", "error"].includes(type));
    expect(ends).toMatchObject([{ type: "response.failed", response: { status: "failed", error: { code: "server_error" } } }]);
    expect(events.at(-1)).toBe(ends[0]);
    const { id = "" } = ends[0]?.response ?? {};
    expect(await alice.response(id)).toMatchObject({
      ...{ id, status: "failed", completed_at: null, error: { code: "server_error" } },
      output: [{ status: "incomplete", content: [{ text: "abc" }] }],
    });
  });

  test("before anything came is found by its stream", async () => {
    engine.use({ reply, breakAt: { token: 0, how: "error" } });
    const begun = await alice.made({ input: "Hi", background: true });
    await expect.poll(async () => (await alice.response(begun.id)).status, { timeout: 10_000 }).toBe("failed");
    expect(await alice.response(begun.id)).toMatchObject({ error: { code: "server_error" }, output: [] });
  });

  test("with the connection alone goes on: its client reads it again from where it was", async () => {
    engine.use({ delayMilliseconds: 5 });
    const response = await alice.respond({ input: longText, stream: true });
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    let text = "";
    while (!text.includes('"response.output_text.delta"'))
      text += decoder.decode((await reader?.read())?.value as Uint8Array | undefined, { stream: true });
    await reader?.cancel();
    const id = /"id":"(resp_[^"]+)"/.exec(text)?.[1] ?? "";
    const rest = await responseEvents(await alice.call("GET", `/v1/responses/${id}?stream=true&starting_after=3`));
    engine.use({});
    expect(rest.map(({ sequence_number: number }) => number)).toEqual(rest.map((_event, at) => at + 4));
    expect(rest.flatMap(({ delta = "" }) => delta).join("")).toBe(await oracle([user(longText)]));
    const beyond = await alice.call("GET", `/v1/responses/${id}?stream=true&starting_after=400`);
    const { text: said, clean } = await readToEnd(beyond);
    const [, told = "null"] = /event: error\ndata: (.*)/.exec(said) ?? [];
    const error = { code: "conflict", message: expect.stringMatching(/^'starting_after'/) as string, param: "starting_after" };
    expect([responseEvent.parse(JSON.parse(told)), clean]).toEqual([
      { type: "error", sequence_number: expect.any(Number) as number, ...error, error: { type: "invalid_request_error", ...error } },
      false,
    ]);
  });
});

describe("what the Open Responses document asks of answers", () => {
  const hello = { type: "message", role: "user", content: "Say hello in exactly 3 words." };
  const required = [
    ...["id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id", "instructions"],
    ...["output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p", "presence_penalty"],
    ...["frequency_penalty", "top_logprobs", "temperature", "reasoning", "user", "usage", "max_output_tokens", "max_tool_calls", "store"],
    ...["background", "service_tier", "metadata", "safety_identifier", "prompt_cache_key"],
  ];

  test.each<[string, Json[]]>([
    ["a message", [hello]],
    ["a system message", [{ type: "message", role: "system", content: "You are a pirate." }, hello]],
    ["several turns", [hello, { type: "message", role: "assistant", content: "Hello to you." }, { ...hello, content: "What was said?" }]],
    [
      "parts, and an answer as it was received",
      [
        { ...hello, content: [{ type: "input_text", text: "Hello." }] },
        {
          type: "message",
          id: "msg_1",
          status: "completed",
          role: "assistant",
          content: [{ type: "output_text", text: "Hi.", annotations: [], logprobs: [] }],
        },
        hello,
      ],
    ],
  ])("%s: every field, whole and streamed", async (_name, input) => {
    const whole = await alice.made({ input, stop: ["a", "b", "c", "d", "e", "f"] });
    expect(Object.keys(whole)).toEqual(expect.arrayContaining(required));
    expect(whole).toMatchObject({ status: "completed", object: "response", output: [{ type: "message", role: "assistant" }] });
    for (const field of ["top_p", "temperature", "presence_penalty", "frequency_penalty", "top_logprobs"])
      expect(whole[field], field).toBeTypeOf("number");
    const events = await responseEvents(await alice.respond({ input, stop: ["a", "b", "c", "d", "e", "f"], stream: true }));
    expect(events.at(-1)).toMatchObject({ type: "response.completed", response: { output: [{ content: whole.output[0]?.content }] } });
    for (const { response } of events) if (response !== undefined) expect(Object.keys(response)).toEqual(expect.arrayContaining(required));
  });

  test("log-probabilities come with the deltas, and with the whole answer", async () => {
    const body = { input: "Hi", top_logprobs: 2, include: ["message.output_text.logprobs"] };
    const events = await responseEvents(await alice.respond({ ...body, stream: true }));
    const deltas = events.flatMap(({ type, logprobs }) =>
      type === "response.output_text.delta" ? (logprobs as { top_logprobs: object[] }[]) : [],
    );
    expect(deltas).toHaveLength(10);
    expect(deltas.every(({ top_logprobs: top }) => top.length === 2)).toBe(true);
    const whole = await alice.made(body);
    expect(whole.output[0]?.content?.[0]).toMatchObject({ logprobs: deltas });
  });
});
