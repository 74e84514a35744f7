/** What follows a call of a function: histories, sessions and responses that have calls and what they gave. */
import { beforeEach, describe, expect, test } from "vitest";
import { chat, failure, json, request, type Json } from "../support/gateway-client.ts";
import { ResponseClient, responseEvents, responseIn } from "../support/response-client.ts";
import { SessionClient } from "../support/session-client.ts";
import {
  ask,
  asked,
  bothCalls,
  calledBoth,
  choices,
  clock,
  parameters,
  promptOf,
  replyOf,
  result,
  rome,
  spoken,
  use,
} from "../support/tool-calls.ts";

beforeEach(() => {
  use();
});

describe("a history with calls", () => {
  test("is rendered as the model wrote them, with results in the calls' order", async () => {
    await chat({
      ...ask,
      messages: [asked, calledBoth, result("two"), result("one", [{ type: "text", text: "31" }]), { role: "user", content: "So?" }],
    });
    expect(promptOf()).toContain(
      [
        "<|im_start|>user\nHow warm?<|im_end|>",
        `<|im_start|>assistant\n${spoken("weather", rome)}\n${spoken("clock", "{}")}<|im_end|>`,
        "<|im_start|>user\n<tool_response>\n31\n</tool_response>\n<tool_response>\ntwo\n</tool_response><|im_end|>",
        "<|im_start|>user\nSo?<|im_end|>",
        "<|im_start|>assistant\n",
      ].join("\n"),
    );
  });

  test("a session has the calls, and is told what they gave", async () => {
    const alice = new SessionClient();
    const say = async (session: string | undefined, messages: readonly object[], body: Json = {}) => {
      const init = json(
        { model: "tiny", ...ask, ...body, messages, ...(session === undefined ? {} : { session_id: session }) },
        alice.headers,
      );
      return await request("/v1/chat/completions", init);
    };
    const { id } = await alice.create();
    use({ reply: replyOf(bothCalls) });
    const [first] = await choices(await say(id, [asked]));
    const made = first?.message.tool_calls ?? [];
    const results = made.toReversed().map((call) => result(call.id, call.function.name));
    use();
    for (const messages of [[result("call_0")], [result(made[0]?.id ?? ""), result(made[0]?.id ?? "")]]) {
      const error = await failure(await say(id, messages));
      expect([error.code, error.param]).toEqual(["invalid_request", `messages[${String(messages.length - 1)}].tool_call_id`]);
    }
    const answered = await say(id, results, { max_tokens: 20 });
    expect(answered.headers.get("x-spikingbrain-cache")).toMatch(/^hit/);
    const [second] = await choices(answered);
    const history = [asked, first?.message ?? {}, ...results];
    expect(second?.message).toEqual((await choices(await say(undefined, history, { max_tokens: 20 })))[0]?.message);
    const { data } = await (await alice.call("GET", `/v1/sessions/${id}/turns`)).json<{ data: { messages: object[]; finish: string }[] }>();
    expect(data[0]).toMatchObject({
      messages: [asked, { role: "assistant", content: "Let me see.", tool_calls: made }],
      finish: "tool_calls",
    });
    expect(data[1]?.messages.slice(0, 2)).toEqual(results);
    // A file has them with it: nothing is read again of the conversation that is made of it.
    const exported = await (await alice.call("POST", `/v1/sessions/${id}/export`, {})).arrayBuffer();
    expect(new DataView(exported).getUint32(4, true)).toBe(3);
    const imported = await request("/v1/sessions/import", { method: "POST", headers: alice.headers, body: exported });
    const copy = (await imported.json<{ id: string }>()).id;
    expect((await say(copy, [{ role: "user", content: "And?" }], { max_tokens: 8 })).headers.get("x-spikingbrain-cache")).toMatch(/^hit/);
    const otherwise = await say(copy, [{ role: "user", content: "So?" }], { max_tokens: 8, tools: [clock] });
    expect(otherwise.headers.get("x-spikingbrain-cache")).toMatch(/^miss.*functions/);
    // Other functions are another beginning; the same ones, or none, are not.
    const question = [{ role: "user", content: "And?" }];
    const cacheOf = async (body: Json) => (await say(id, question, { max_tokens: 8, ...body })).headers.get("x-spikingbrain-cache");
    expect(await cacheOf({})).toMatch(/^hit/);
    expect(await cacheOf({ tools: [] })).toMatch(/^hit/);
    const others = await say(id, question, { max_tokens: 8, tools: [clock] });
    expect(others.headers.get("x-spikingbrain-cache")).toMatch(/^miss.*other instructions or functions/);
    expect(promptOf()).not.toContain("weather the");
    expect(promptOf().split("<|im_start|>system\n")).toHaveLength(2);
    expect(promptOf()).not.toContain('"name":"weather"');
  });
});

test("a session keeps the digits of what functions take, and so does its file", async () => {
  const alice = new SessionClient();
  const digits = "9223372036854775807";
  const find = { type: "function", function: { name: "find", parameters: { properties: { id: { type: "integer", maximum: "@" } } } } };
  const say = async (session: string) => {
    const body = JSON.stringify({ model: "tiny", ...ask, tools: [find], max_tokens: 8, messages: [asked], session_id: session });
    const response = await request("/v1/chat/completions", { ...json({}, alice.headers), body: body.replace('"@"', digits) });
    await choices(response);
    return response.headers.get("x-spikingbrain-cache");
  };
  const { id } = await alice.create();
  await say(id);
  expect(promptOf()).toContain(`"maximum":${digits}`);
  expect(await say(id)).toMatch(/^hit/);
  const exported = await (await alice.call("POST", `/v1/sessions/${id}/export`, {})).arrayBuffer();
  const imported = await request("/v1/sessions/import", { method: "POST", headers: alice.headers, body: exported });
  // Where a digit were lost, these would be other functions.
  expect(await say((await imported.json<{ id: string }>()).id)).toMatch(/^hit/);
});

describe("responses", () => {
  const flat = [
    { type: "function", name: "weather", description: "Tells the weather.", parameters, strict: true },
    { type: "function", name: "clock" },
  ];
  const order: Json = { model: "tiny", input: "How warm?", temperature: 0, max_output_tokens: 300, tools: flat };

  test("have calls as items, with their events in the document's order, and are followed by what functions gave", async () => {
    const alice = new ResponseClient();
    const respond = (body: Json) => alice.call("POST", "/v1/responses", { ...order, ...body });
    use({ reply: replyOf(bothCalls) });
    const made = await responseIn(await respond({}));
    const items = [
      { type: "message", status: "completed", content: [{ type: "output_text", text: "Let me see." }] },
      { type: "function_call", status: "completed", name: "weather", arguments: rome },
      { type: "function_call", status: "completed", name: "clock", arguments: "{}" },
    ];
    expect(made).toMatchObject({ status: "completed", output: items, tools: flat, tool_choice: "auto", parallel_tool_calls: true });
    expect(await alice.response(made.id)).toEqual(made);
    const streamed = await respond({ stream: true });
    const events = await responseEvents(streamed);
    expect(events.map(({ sequence_number: number }) => number)).toEqual([...events.keys()]);
    const withoutDeltas = events.map(({ type, output_index: at }) =>
      `${type.replace("response.", "")} ${typeof at === "number" ? String(at) : ""}`.trim(),
    );
    const call = (at: number) =>
      ["output_item.added", "function_call_arguments.done", "output_item.done"].map((type) => `${type} ${String(at)}`);
    expect(withoutDeltas.filter((type) => !type.includes("delta"))).toEqual([
      ...["created", "in_progress", "output_item.added 0", "content_part.added 0"],
      ...["output_text.done 0", "content_part.done 0", "output_item.done 0"],
      ...[...call(1), ...call(2), "completed"],
    ]);
    const last = events.at(-1)?.response;
    expect(last?.output).toMatchObject(items);
    const givenTo = (id: string | undefined) =>
      events.flatMap(({ type, item_id: of, delta = "" }) =>
        type === "response.function_call_arguments.delta" && of === id ? [delta] : [],
      );
    expect(last?.output.map(({ id }) => givenTo(id).join(""))).toEqual(["", rome, "{}"]);
    const { id = "" } = last ?? {};
    expect(await alice.response(id)).toEqual(last);
    const rest = await responseEvents(await alice.call("GET", `/v1/responses/${id}?stream=true&starting_after=20`));
    expect(rest).toEqual(events.slice(21));

    const calls = last?.output.slice(1) ?? [];
    const outputs = calls.map(({ call_id: of }, at) => ({ type: "function_call_output", call_id: of, output: String(at) }));
    use({ reply: replyOf("Warm.") });
    const follow = { previous_response_id: id, input: outputs };
    const next = await respond(follow);
    expect(next.headers.get("x-spikingbrain-cache")).toMatch(/^hit/);
    expect((await responseIn(next)).output).toMatchObject([{ content: [{ text: "Warm." }] }]);
    const whole = { input: [{ role: "user", content: "How warm?" }, ...(last?.output ?? []), ...outputs] };
    const [told] = [promptOf(), await respond({ ...whole, store: false })];
    expect(promptOf().endsWith(told)).toBe(true);
    // Functions are those of each response.
    const without = await respond({ ...follow, tools: [], input: "And?" });
    expect(without.headers.get("x-spikingbrain-cache")).toBe('miss; tokens=0; reason="other instructions or functions"');
    expect(promptOf()).not.toContain("# Tools");
    const unknown = await respond({ ...follow, input: [{ type: "function_call_output", call_id: "call_1", output: "1" }] });
    expect(await failure(unknown)).toMatchObject({ code: "invalid_request", param: "input[0].call_id" });
    const count = await alice.call("POST", "/v1/responses/input_tokens", { model: "tiny", input: "How warm?", tools: flat });
    expect(await count.json()).toMatchObject({ input_tokens: made.usage?.input_tokens });
  });

  test("that must call, and are cut, are not complete", async () => {
    const alice = new ResponseClient();
    const choice = { tool_choice: { type: "function", name: "weather" }, max_output_tokens: 60 };
    const cut = await responseIn(await alice.call("POST", "/v1/responses", { ...order, ...choice }));
    expect(cut).toMatchObject({
      ...{ status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, tool_choice: choice.tool_choice },
      output: [{ type: "function_call", status: "incomplete", name: "weather" }],
    });
    expect(await alice.response(cut.id)).toEqual(cut);
    const whole = await responseIn(await alice.call("POST", "/v1/responses", { ...order, ...choice, max_output_tokens: 300 }));
    expect(whole).toMatchObject({ status: "completed", output: [{ type: "function_call", status: "completed", name: "weather" }] });
  });
});
