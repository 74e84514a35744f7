/** Functions that answers call, through the API: what the model is told, what comes whole, in deltas and again, what conversations keep, what is refused. */
import { beforeEach, describe, expect, test } from "vitest";
import * as z from "zod";
import { chat, failure, json, payloads, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { ResponseClient, responseEvents, responseIn } from "../support/response-client.ts";
import { SessionClient } from "../support/session-client.ts";
import { tinyTokenizer } from "../support/tiny-tokenizer.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";

/** The model is told of functions in more letters than the tiny model's context has, and reads one token a letter. */
const contextLength = 8192;
const use = (script: Parameters<typeof engine.use>[0] = {}) => {
  engine.use({ contextLength, ...script });
};
beforeEach(() => {
  use();
});

const tokenizer = Tokenizer.fromTokenizerFile(tinyTokenizer);
/** As forced tokens have it, which are the text's own. */
const replyOf = (text: string) => [...tokenizer.encode(text)];
const promptOf = (call = -1) => tokenizer.decode(engine.calls.at(call)?.prompt ?? []);

const parameters = {
  type: "object",
  properties: { city: { enum: ["Rome", "Oslo"] }, days: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["city", "days"],
  additionalProperties: false,
};
const weather = { type: "function", function: { name: "weather", description: "Tells the weather.", parameters } };
const clock = { type: "function", function: { name: "clock" } };
const tools = [weather, clock];
const fits: Record<string, z.ZodType> = {
  weather: z.strictObject({ city: z.enum(["Rome", "Oslo"]), days: z.int().min(1).max(9) }),
  clock: z.strictObject({}),
};
const ask: Json = { max_tokens: 300, temperature: 0, tools };

test("numbers of parameters keep the digits that a double does not have", async () => {
  const digits = "9223372036854775807";
  const id = { type: "object", properties: { id: { type: "integer", minimum: 1, maximum: "@" } }, required: ["id"] };
  const body = { model: "tiny", messages: [{ role: "user", content: "hi" }], max_tokens: 2, tool_choice: "required" };
  const asked = JSON.stringify({ ...body, tools: [{ type: "function", function: { name: "find", parameters: id } }] });
  const response = await request("/v1/chat/completions", { ...json({}), body: asked.replace('"@"', digits) });
  await choices(response);
  expect(engine.calls[0]?.constraint?.text).toContain(`"maximum":${digits}`);
});

const spoken = (name: string, given: string) => `<tool_call>\n{"name": "${name}", "arguments": ${given}}\n</tool_call>`;
const rome = '{"city": "Rome", "days": 3}';
const bothCalls = `Let me see.\n${spoken("weather", rome)}\n${spoken("clock", "{}")}`;

interface Call {
  readonly id: string;
  readonly type: string;
  readonly function: { readonly name: string; readonly arguments: string };
}
interface Choice {
  readonly message: { readonly content: string | null; readonly tool_calls?: readonly Call[] };
  readonly logprobs: { readonly content: readonly { readonly token: string }[] } | null;
  readonly finish_reason: string;
}
async function choices(response: Response): Promise<readonly Choice[]> {
  const body = await response.json<{ choices: Choice[] }>();
  expect([response.status, body]).toEqual([200, expect.objectContaining({ object: "chat.completion" })]);
  return body.choices;
}
const calledIn = ({ message }: Choice) => (message.tool_calls ?? []).map(({ function: called }) => [called.name, called.arguments]);
function expectFit(choice: Choice): void {
  expect(choice.finish_reason).toBe("tool_calls");
  for (const [name = "", given = ""] of calledIn(choice))
    expect(fits[name]?.safeParse(JSON.parse(given)), given).toMatchObject({ success: true });
}

interface Chunk {
  readonly choices: readonly {
    readonly delta: {
      readonly role?: string;
      readonly content?: string | null;
      readonly tool_calls?: readonly (Partial<Omit<Call, "function">> & {
        readonly index: number;
        readonly function: Partial<Call["function"]>;
      })[];
    };
    readonly logprobs: Choice["logprobs"];
    readonly finish_reason: string | null;
  }[];
}
const chunksOf = (lines: readonly string[]) => lines.filter((line) => line !== "[DONE]").map((line) => JSON.parse(line) as Chunk);

/** As a client puts deltas together; their order is looked at on the way. */
function assembled(chunks: readonly Chunk[]): Choice["message"] & { readonly finish_reason: string | null } {
  let content: string | null = null;
  const calls: { id: string; type: string; function: { name: string; arguments: string } }[] = [];
  let reason: string | null = null;
  for (const [{ delta, finish_reason: why } = { delta: {}, finish_reason: null }] of chunks.map((chunk) => chunk.choices)) {
    reason = why ?? reason;
    if (typeof delta.content === "string") content = (content ?? "") + delta.content;
    for (const { index, id, type, function: called } of delta.tool_calls ?? []) {
      const { name, arguments: given = "" } = called;
      if (id !== undefined) {
        expect([index, type, given]).toEqual([calls.length, "function", ""]);
        calls.push({ id, type: type ?? "", function: { name: name ?? "", arguments: "" } });
      } else {
        expect([index, name, type]).toEqual([calls.length - 1, undefined, undefined]);
        const last = calls.at(-1);
        if (last !== undefined) last.function.arguments += given;
      }
    }
  }
  return { content, ...(calls.length === 0 ? {} : { tool_calls: calls }), finish_reason: reason };
}

describe("a call", () => {
  test("comes whole as OpenAI has it, and the model was told of the functions", async () => {
    use({ reply: replyOf(bothCalls) });
    const [choice] = await choices(await chat(ask));
    expect(choice?.message.content).toBe("Let me see.");
    expect(choice && calledIn(choice)).toEqual([
      ["weather", rome],
      ["clock", "{}"],
    ]);
    const ids = (choice?.message.tool_calls ?? []).map(({ id, type }) => [type, id]);
    expect(ids).toEqual([
      ["function", expect.stringMatching(/^call_[0-9a-f]{20}_0$/)],
      ["function", expect.stringMatching(/^call_[0-9a-f]{20}_1$/)],
    ]);
    if (choice !== undefined) expectFit(choice);
    const prompt = promptOf();
    expect(prompt).toMatch(/^<\|im_start\|>system\n# Tools\n/);
    expect(prompt).toContain(JSON.stringify(weather));
    expect(prompt).toMatch(/<\/tool_call><\|im_end\|>\n<\|im_start\|>user\nhi<\|im_end\|>\n<\|im_start\|>assistant\n$/);
  });

  test("streams in OpenAI's order, and again from every event with the same ids", async () => {
    use({ reply: replyOf(bothCalls) });
    const whole = (await choices(await chat(ask)))[0]?.message;
    const streamed = await chat({ ...ask, stream: true });
    const stream = streamed.headers.get("x-spikingbrain-stream") ?? "";
    const lines = await payloads(streamed);
    expect(lines.at(-1)).toBe("[DONE]");
    const chunks = chunksOf(lines);
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: "assistant", content: null });
    const made = assembled(chunks);
    const nameless = (calls: readonly Call[] | undefined) => calls?.map(({ function: called }) => called);
    expect(made).toMatchObject({ content: whole?.content, finish_reason: "tool_calls" });
    expect(nameless(made.tool_calls)).toEqual(nameless(whole?.tool_calls));
    const again = await (await request(`/v1/streams/${stream}`)).text();
    const ids = [...again.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? "");
    expect(ids).toHaveLength(new Set(ids).size);
    for (const at of [0, 11, 40, ids.length - 2]) {
      const rest = await payloads(await request(`/v1/streams/${stream}`, { headers: { "last-event-id": ids[at] ?? "" } }));
      expect(rest).toEqual(lines.slice(lines.length - rest.length));
      expect(rest).toHaveLength(lines.length - 2 - at);
    }
  });

  test.each<[string, Json, (names: readonly (readonly string[])[]) => boolean]>([
    ["required", { tool_choice: "required" }, (calls) => calls.length > 0],
    ["one at most", { tool_choice: "required", parallel_tool_calls: false }, (calls) => calls.length === 1],
    [
      "a named one",
      { tool_choice: { type: "function", function: { name: "weather" } } },
      (calls) => calls.length === 1 && calls[0]?.[0] === "weather",
    ],
    [
      "a strict one",
      { tools: [{ ...weather, function: { ...weather.function, strict: true } }], tool_choice: "required" },
      (calls) => calls.length > 0,
    ],
    [
      "with a response format beside it",
      { tool_choice: "required", response_format: { type: "json_object" } },
      (calls) => calls.length > 0,
    ],
  ])("%s: whatever the model would say, its arguments fit", async (_name, body, isRight) => {
    const warm = { ...ask, temperature: 1.4, seed: 3, n: 3, max_tokens: 2000, ...body };
    const made = await choices(await chat(warm));
    expect(made).toHaveLength(3);
    for (const choice of made) {
      expect(choice.message.content).toBeNull();
      expectFit(choice);
      expect(isRight(calledIn(choice)), JSON.stringify(choice)).toBe(true);
    }
    expect((await choices(await chat(warm))).map(calledIn)).toEqual(made.map(calledIn));
  });

  test("is one of eight at most, so that a model that repeats itself comes to an end", async () => {
    use({ reply: replyOf(Array.from({ length: 40 }, () => spoken("clock", "{}")).join("\n")) });
    for (const choice of ["auto", "required"]) {
      const [made] = await choices(await chat({ ...ask, max_tokens: 3000, tool_choice: choice }));
      expect([made?.finish_reason, made && calledIn(made)]).toEqual(["tool_calls", Array.from({ length: 8 }, () => ["clock", "{}"])]);
    }
  });

  test("that is not made leaves the text as it would have been", async () => {
    const text = "No <tool_cal, and \n no </tool_call>. \n";
    use({ reply: replyOf(text) });
    const [choice] = await choices(await chat(ask));
    expect([choice?.message.content, choice?.message.tool_calls, choice?.finish_reason]).toEqual([text, undefined, "stop"]);
    expect(assembled(chunksOf(await payloads(await chat({ ...ask, stream: true }))))).toEqual({ content: text, finish_reason: "stop" });
  });

  test("has none but the functions' names, and fits where the model wants otherwise", async () => {
    use({ reply: replyOf('<tool_call>\n{"name": "weather", "arguments": {"city": "Paris", "days": 3}}\n</tool_call>') });
    const [choice] = await choices(await chat(ask));
    if (choice !== undefined) expectFit(choice);
    expect(choice && calledIn(choice)[0]?.[0]).toBe("weather");
  });

  test("that an engine's death cuts goes on elsewhere as the same one", async () => {
    const warm = { ...ask, temperature: 1.2, seed: 5, tool_choice: "required", stream: true, parallel_tool_calls: false };
    const nameless = (message: ReturnType<typeof assembled>) => message.tool_calls?.map(({ function: called }) => called);
    const whole = nameless(assembled(chunksOf(await payloads(await chat(warm)))));
    expect(whole).toHaveLength(1);
    for (const token of [4, 30, 55]) {
      use({ breakAt: { token, how: "error" } });
      const streamed = chat(warm);
      await expect.poll(() => engine.calls.length).toBe(2);
      engine.script = { contextLength };
      expect(nameless(assembled(chunksOf(await payloads(await streamed))))).toEqual(whole);
    }
  });

  test("none: nothing is told, and all is text", async () => {
    use({ reply: replyOf(bothCalls) });
    const [choice] = await choices(await chat({ ...ask, tool_choice: "none" }));
    expect([choice?.message.content, choice?.finish_reason]).toEqual([bothCalls, "stop"]);
    expect(promptOf()).not.toContain("weather");
  });

  test("or an answer that fits a schema", async () => {
    const schema = { type: "object", properties: { a: { enum: [1, 2] } }, required: ["a"], additionalProperties: false };
    const format = { response_format: { type: "json_schema", json_schema: { name: "a", schema } } };
    use({ reply: replyOf('{"a":2}') });
    const [said] = await choices(await chat({ ...ask, ...format }));
    expect([said?.message.content, said?.finish_reason]).toEqual(['{"a":2}', "stop"]);
    use({ reply: replyOf(spoken("clock", "{}")) });
    const [called] = await choices(await chat({ ...ask, ...format }));
    expect(called && calledIn(called)).toEqual([["clock", "{}"]]);
  });

  test("that is cut by length or by a stop string is not told as whole", async () => {
    use({ reply: replyOf(bothCalls) });
    const [short] = await choices(await chat({ ...ask, max_tokens: replyOf(bothCalls.slice(0, bothCalls.indexOf(': "Rome'))).length }));
    expect([short && calledIn(short), short?.finish_reason]).toEqual([[["weather", '{"city"']], "length"]);
    const [nameless] = await choices(await chat({ ...ask, max_tokens: 30 }));
    expect([nameless?.message, nameless?.finish_reason]).toEqual([{ role: "assistant", content: "Let me see.", refusal: null }, "length"]);
    const [stopped] = await choices(await chat({ ...ask, stop: '"days"' }));
    expect([stopped && calledIn(stopped), stopped?.finish_reason]).toEqual([[["weather", '{"city": "Rome", ']], "stop"]);
  });

  test("has log-probabilities of all that was sampled, whole and streamed", async () => {
    use({ reply: replyOf(bothCalls) });
    const scored = { ...ask, logprobs: true, top_logprobs: 1 };
    const [choice] = await choices(await chat(scored));
    expect(choice?.logprobs?.content.map(({ token }) => token).join("")).toBe(bothCalls);
    const chunks = chunksOf(await payloads(await chat({ ...scored, stream: true })));
    const tokens = chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? []);
    expect(tokens).toEqual(choice?.logprobs?.content);
  });
});

const asked = { role: "user", content: "How warm?" };
const calledBoth = {
  role: "assistant",
  content: null,
  tool_calls: [
    { id: "one", type: "function", function: { name: "weather", arguments: rome } },
    { id: "two", type: "function", function: { name: "clock", arguments: "{}" } },
  ],
};
const result = (id: string, content: unknown = id) => ({ role: "tool", tool_call_id: id, content });

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

describe("refused by name", () => {
  const of = (changes: Json) => ({ tools: [{ type: "function", function: { name: "f", ...changes } }] });
  test.each<[string, Json, string, RegExp]>([
    ["a name with blanks", of({ name: "a b" }), "tools[0].function.name", /letters, digits.*"a b"/],
    ["a name twice", { tools: [clock, weather, clock] }, "tools[2].function.name", /another name.*"clock"/],
    ["a tool of another kind", { tools: [{ type: "web_search" }] }, "tools[0].type", /'web_search' is not supported/],
    ["a field nobody knows", of({ parameter: {} }), "tools[0].function.parameter", /Unknown/],
    ["parameters that are no schema", of({ parameters: [] }), "tools[0].function.parameters", /JSON schema/],
    ["parameters of no object", of({ parameters: { type: "array" } }), "tools[0].function.parameters.type", /'object'.*"array"/],
    [
      "a keyword that is not supported",
      { tools: [clock, { type: "function", function: { name: "f", parameters: { not: {} } } }] },
      "tools[1].function.parameters",
      /"not".*not supported/,
    ],
    [
      "options of the library",
      of({ parameters: { "x-guidance": { lenient: true } } }),
      "tools[0].function.parameters.x-guidance",
      /no|not/,
    ],
    [
      "parameters that multiply",
      of({ parameters: { allOf: Array.from({ length: 20 }, (_unused, at) => ({ anyOf: [{ minProperties: at }, { type: "null" }] })) } }),
      "tools[0].function.parameters",
      /512 ways/,
    ],
    [
      "strict parameters with an optional one",
      of({ strict: true, parameters: { ...parameters, required: ["city"] } }),
      "tools[0].function.parameters",
      /does not name 'days'/,
    ],
    [
      "too many",
      { tools: Array.from({ length: 129 }, (_unused, at) => ({ type: "function", function: { name: `f${String(at)}` } })) },
      "tools",
      /128/,
    ],
    ["too long", of({ description: "x".repeat(66_000) }), "tools", /65536 characters/],
    ["too deep", of({ parameters: nested(80) }), "tools", /deep/],
    [
      "a choice of a function that is not there",
      { tools, tool_choice: { type: "function", function: { name: "g" } } },
      "tool_choice.function.name",
      /function in 'tools'.*"g"/,
    ],
    ["a choice of no kind", { tools, tool_choice: "any" }, "tool_choice", /none, auto, required.*"any"/],
    ["a choice of several", { tools, tool_choice: { type: "allowed_tools" } }, "tool_choice.type", /'allowed_tools' is not supported/],
    ["a call that must be made of nothing", { tool_choice: "required" }, "tool_choice", /needs 'tools'/],
    ["another constraint", { tools, structured_outputs: { regex: "a" } }, "structured_outputs", /must be left out/],
    [
      "a response format with options of the library",
      { tools, response_format: { type: "json_schema", json_schema: { name: "a", schema: { "x-guidance": { lenient: true } } } } },
      "response_format.json_schema.schema",
      /'x-guidance' is not supported/,
    ],
    [
      "a response format that can't be held to",
      { tools, response_format: { type: "json_schema", json_schema: { name: "a", schema: { not: {} } } } },
      "response_format.json_schema.schema",
      /"not".*not supported/,
    ],
    ["ends that are ignored", { tools, ignore_eos: true }, "ignore_eos", /must be false beside 'tools'/],
    ["the older name", { functions: [{ name: "f" }] }, "functions", /newer names/],
    ["the older name's choice", { function_call: { name: "f" } }, "function_call", /newer names/],
    [
      "what a function gave, of no call",
      { messages: [asked, result("three")] },
      "messages[1].tool_call_id",
      /id of a call before it.*'three'/,
    ],
    ["the same twice", { messages: [asked, calledBoth, result("one"), result("one")] }, "messages[3].tool_call_id", /has been answered/],
    ["a result without an id", { messages: [asked, calledBoth, { role: "tool", content: "1" }] }, "messages[2].tool_call_id", /string/],
    [
      "arguments that are no object",
      { messages: [asked, { ...calledBoth, tool_calls: [{ id: "a", type: "function", function: { name: "f", arguments: "[" } }] }] },
      "messages[1].tool_calls[0].function.arguments",
      /JSON object as text/,
    ],
    [
      "a call of another kind",
      { messages: [asked, { ...calledBoth, tool_calls: [{ id: "a", type: "custom", custom: {} }] }] },
      "messages[1].tool_calls[0].type",
      /'custom' is not supported/,
    ],
    ["an answer of nothing", { messages: [asked, { role: "assistant", content: null }] }, "messages[1].content", /tool_calls/],
    ["the role 'function'", { messages: [asked, { role: "function", name: "f", content: "1" }] }, "messages[1].role", /not supported/],
    ["a backend that holds to none", { model: "plain", tools }, "tools", /backend of the model 'plain'/],
  ])("%s", async (_name, body, field, message) => {
    const response = await chat({ max_tokens: 8, ...body });
    expect(response.status).toBe(400);
    const error = await failure(response);
    expect(error.param).toBe(field);
    expect(error.message).toMatch(message);
    expect(engine.calls).toEqual([]);
  });
});

function nested(depth: number): Json {
  return depth === 0 ? {} : { items: nested(depth - 1) };
}
