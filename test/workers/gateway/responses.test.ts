/** Responses over HTTP (their streams: `response-streams.test.ts`): turns of sessions under OpenAI's names. The oracle is the whole conversation, sent as chat without a key. */
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { failure, json, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { scriptedFailure } from "../support/toy-generation.ts";
import { setQuota } from "../support/quota.ts";
import { responseIn, ResponseClient, textOf, type Item, type ResponseObject } from "../support/response-client.ts";
import { assistant, oracle, user, type Message } from "../support/session-client.ts";

let alice = new ResponseClient();
beforeEach(() => {
  engine.use({});
  alice = new ResponseClient();
});

const system = (content: string): Message => ({ role: "system", content });
const longText = "Tell me of the sea, and of the ships that went down in it long ago ";

describe("a response", () => {
  test("is the answer, and is there to be asked for when it has come", async () => {
    const made = await alice.made({ input: longText, metadata: { of: "test" } });
    expect(textOf(made)).toBe(await oracle([user(longText)]));
    expect(made).toMatchObject({
      object: "response",
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
      ...{ error: null, store: true, background: false, metadata: { of: "test" }, temperature: 0, max_output_tokens: 10 },
      ...{ previous_response_id: null, conversation: null, instructions: null, truncation: "disabled", tools: [], tool_choice: "auto" },
      text: { format: { type: "text" } },
      usage: { output_tokens: 10, output_tokens_details: { reasoning_tokens: 0 }, input_tokens_details: { cached_tokens: 0 } },
    });
    expect(await alice.response(made.id)).toEqual(made);
    const { data, has_more } = await alice.items(made.id);
    expect(data).toMatchObject([{ type: "message", role: "user", content: [{ type: "input_text", text: longText }] }]);
    expect(has_more).toBe(false);
  });

  test("that ends by itself is completed", async () => {
    const made = await alice.made({ input: "Hi", ignore_eos: false, stop: ["a", "b", "c", "d", "e", "f"] });
    expect(made).toMatchObject({ status: "completed", incomplete_details: null, output: [{ status: "completed" }] });
    expect(made.completed_at).toBeGreaterThanOrEqual(made.created_at);
    expect(await alice.response(made.id)).toEqual(made);
  });

  test("goes on from another, which is read no more, however often", async () => {
    const messages: Message[] = [];
    let previous: string | null = null;
    for (let turn = 0; turn < 4; turn++) {
      const input = `${longText}${String(turn)}`;
      const made = await alice.made({ input, previous_response_id: previous });
      messages.push(user(input));
      expect(textOf(made)).toBe(await oracle(messages));
      expect(made.previous_response_id).toBe(previous);
      const { input_tokens: read = 0, input_tokens_details: cached } = made.usage ?? {};
      if (turn > 0) expect(read - (cached?.cached_tokens ?? 0)).toBeLessThan(longText.length + 60);
      messages.push(assistant(textOf(made)));
      previous = made.id;
    }
  });

  test("that others follow has more than one future", async () => {
    const first = await alice.made({ input: longText });
    const second = await alice.made({ input: "And then?", previous_response_id: first.id });
    const other = await alice.made({ input: "Or else?", previous_response_id: first.id });
    const before = [user(longText), assistant(textOf(first))];
    expect(textOf(second)).toBe(await oracle([...before, user("And then?")]));
    expect(textOf(other)).toBe(await oracle([...before, user("Or else?")]));
    for (const made of [first, second, other]) expect(await alice.response(made.id)).toEqual(made);
  });

  test("whose function calls are given keeps them for the next", async () => {
    const input = [
      user("How warm is it?"),
      { type: "function_call", call_id: "call_1", name: "warmth", arguments: '{"in": "Rome"}' },
      { type: "function_call_output", call_id: "call_1", output: "31" },
    ];
    const first = await alice.made({ input });
    const spoken = [
      user("How warm is it?"),
      assistant('<tool_call>\n{"name": "warmth", "arguments": {"in": "Rome"}}\n</tool_call>'),
      user("<tool_response>\n31\n</tool_response>"),
    ];
    expect(textOf(first)).toBe(await oracle(spoken));
    const second = await alice.made({ input: "And now?", previous_response_id: first.id });
    expect(textOf(second)).toBe(await oracle([...spoken, assistant(textOf(first)), user("And now?")]));
    const { data } = await alice.items(first.id, "?order=asc");
    expect(data).toMatchObject([
      { type: "message", role: "user" },
      { type: "function_call", call_id: "call_1", name: "warmth", arguments: '{"in": "Rome"}' },
      { type: "function_call_output", call_id: "call_1", output: "31" },
    ]);
    const page = await alice.items(first.id, `?order=asc&limit=1&after=${data[0]?.id ?? ""}`);
    expect(page).toMatchObject({ data: [data[1]], has_more: true, first_id: data[1]?.id });
  });
});

describe("instructions", () => {
  test("are those of each response, and the conversation is read on where they stay the same", async () => {
    const first = await alice.made({ input: longText, instructions: "Be brief." });
    const same = await alice.respond({ input: "And?", instructions: "Be brief.", previous_response_id: first.id });
    const said = [user(longText), assistant(textOf(first)), user("And?")];
    expect(same.headers.get("x-spikingbrain-cache")).toMatch(/^hit/);
    expect(textOf(await responseIn(same))).toBe(await oracle([system("Be brief."), ...said]));
    for (const instructions of [null, "Be long, be very long.", "Be brief."]) {
      const response = await alice.respond({ input: "And?", instructions, previous_response_id: first.id });
      const made = await responseIn(response);
      expect(textOf(made)).toBe(await oracle([...(instructions === null ? [] : [system(instructions)]), ...said]));
      const next = await alice.made({ input: "So?", instructions, previous_response_id: made.id });
      const before = [...(instructions === null ? [] : [system(instructions)]), ...said, assistant(textOf(made))];
      expect(textOf(next)).toBe(await oracle([...before, user("So?")]));
    }
  });

  test("that change are said to be why nothing was remembered", async () => {
    const first = await alice.made({ input: longText, instructions: "Be brief." });
    const second = await alice.respond({ input: "And?", previous_response_id: first.id });
    expect(second.headers.get("x-spikingbrain-cache")).toBe('miss; tokens=0; reason="other instructions or functions"');
  });
});

test("text is held to a schema, which belongs to one response as instructions do", async () => {
  const schema = {
    type: "object",
    properties: { age: { type: "integer", minimum: 1, maximum: 99 } },
    required: ["age"],
    additionalProperties: false,
  };
  const format = { type: "json_schema", name: "person", schema, strict: true };
  const held = { ignore_eos: false, logit_bias: {}, max_output_tokens: 100, text: { format } };
  const made = await alice.made({ input: "How old is she?", ...held });
  expect(made).toMatchObject({ status: "completed", text: { format } });
  const { age } = JSON.parse(textOf(made)) as { age: number };
  expect(age).toBeGreaterThan(0);
  const next = await alice.made({ input: "And?", previous_response_id: made.id });
  expect(textOf(next)).toBe(await oracle([user("How old is she?"), assistant(textOf(made)), user("And?")]));
});

describe("deleting", () => {
  const gone = async (id: string) => {
    for (const [method, path] of [
      ["GET", ""],
      ["GET", "/input_items"],
      ["DELETE", ""],
      ["POST", "/cancel"],
      ["GET", "?stream=true"],
    ] as const) {
      const response = await alice.call(method, `/v1/responses/${id}${path}`);
      expect([response.status, (await failure(response)).code], `${method} ${path}`).toEqual([
        404,
        expect.stringMatching(/^(response|stream)_not_found$/),
      ]);
    }
    const next = await alice.respond({ input: "And?", previous_response_id: id });
    expect(next.status).toBe(404);
    expect(await failure(next)).toMatchObject({ code: "response_not_found", param: "previous_response_id" });
  };
  const sessions = async () => (await (await alice.call("GET", "/v1/sessions")).json<{ data: { turns: number }[] }>()).data;

  test("the only response takes its session with it", async () => {
    const made = await alice.made({ input: "Hi" });
    const response = await alice.call("DELETE", `/v1/responses/${made.id}`);
    expect(await response.json()).toEqual({ id: made.id, object: "response", deleted: true });
    await gone(made.id);
    expect(await sessions()).toEqual([]);
  });

  test("one that others follow is not found, and they go on; the last takes it along", async () => {
    const first = await alice.made({ input: longText });
    const second = await alice.made({ input: "And?", previous_response_id: first.id });
    expect((await alice.call("DELETE", `/v1/responses/${first.id}`)).status).toBe(200);
    await gone(first.id);
    expect(await alice.response(second.id)).toEqual(second);
    const third = await alice.made({ input: "So?", previous_response_id: second.id });
    const said = [user(longText), assistant(textOf(first)), user("And?"), assistant(textOf(second)), user("So?")];
    expect(textOf(third)).toBe(await oracle(said));
    expect((await alice.call("DELETE", `/v1/responses/${third.id}`)).status).toBe(200);
    expect(await sessions()).toMatchObject([{ turns: 2 }]);
    expect((await alice.call("DELETE", `/v1/responses/${second.id}`)).status).toBe(200);
    expect(await sessions()).toEqual([]);
  });
});

describe("who may", () => {
  test("nobody finds another's response, or one that was never given out", async () => {
    const made = await alice.made({ input: "Hi" });
    const bob = new ResponseClient();
    const unknown = made.id.replace(/[0-9a-f]{8}$/, "00000000");
    for (const [client, id] of [
      [bob, made.id],
      [alice, unknown],
      [alice, "resp_1"],
    ] as const)
      for (const call of [client.call("GET", `/v1/responses/${id}`), client.call("DELETE", `/v1/responses/${id}`)]) {
        const response = await call;
        expect([response.status, (await failure(response)).code]).toEqual([404, "response_not_found"]);
      }
    expect((await bob.respond({ input: "Hi", previous_response_id: made.id })).status).toBe(404);
    expect(await alice.response(made.id)).toEqual(made);
  });

  test("without a key there is an answer, and nothing is kept", async () => {
    const body: Json = { model: "tiny", input: "Hi", max_output_tokens: 2 };
    const made = await responseIn(await request("/v1/responses", json(body)));
    expect(made.store).toBe(false);
    for (const more of [{ store: true }, { background: true }, { previous_response_id: made.id }]) {
      const refused = await request("/v1/responses", json({ ...body, ...more }));
      expect([refused.status, (await failure(refused)).code]).toEqual([401, "invalid_api_key"]);
    }
  });

  test("what is not to be stored is not", async () => {
    const made = await alice.made({ input: "Hi", store: false });
    expect(made.store).toBe(false);
    expect((await alice.call("GET", `/v1/responses/${made.id}`)).status).toBe(404);
    expect((await (await alice.call("GET", "/v1/sessions")).json<{ data: object[] }>()).data).toEqual([]);
  });

  test("what is not to be stored goes on from what is, and leaves nothing behind", async () => {
    const first = await alice.made({ input: longText, instructions: "Be brief." });
    const kept = async () => {
      const sessions = (await (await alice.call("GET", "/v1/sessions")).json<{ data: { id: string; turns: number; tokens: number }[] }>())
        .data;
      return sessions.map(({ id, turns, tokens }) => [id, turns, tokens]);
    };
    const sessionsBytes = async () => (await (await alice.call("GET", "/v1/usage")).json<{ bytes: { sessions: number } }>()).bytes.sessions;
    const before = [await kept(), await sessionsBytes()];
    const said = [user(longText), assistant(textOf(first)), user("And?")];
    for (const [instructions, cache] of [
      ["Be brief.", /^hit; tokens=\d+; reason="session"/],
      ["Be long, be very long.", /^miss.*other instructions/],
    ] as const) {
      const next = await alice.respond({ input: "And?", instructions, store: false, previous_response_id: first.id });
      expect(next.headers.get("x-spikingbrain-cache")).toMatch(cache);
      expect(next.headers.get("x-spikingbrain-session")).toBeNull();
      const made = await responseIn(next);
      expect([textOf(made), made.store]).toEqual([await oracle([system(instructions), ...said]), false]);
      expect(made.previous_response_id).toBe(first.id);
      expect((await alice.call("GET", `/v1/responses/${made.id}`)).status).toBe(404);
      expect((await alice.respond({ input: "So?", previous_response_id: made.id })).status).toBe(404);
      const count = { model: "tiny", input: "And?", instructions, store: false, previous_response_id: first.id };
      expect(await (await alice.call("POST", "/v1/responses/input_tokens", count)).json()).toMatchObject({
        input_tokens: made.usage?.input_tokens,
      });
    }
    const streamed = await alice.respond({
      input: "And?",
      instructions: "Be brief.",
      store: false,
      previous_response_id: first.id,
      stream: true,
    });
    const stream = streamed.headers.get("x-spikingbrain-stream") ?? "";
    const told = await streamed.text();
    expect(told).toContain("response.incomplete");
    expect(await (await alice.call("GET", `/v1/streams/${stream}`)).text()).toBe(told);
    expect([await kept(), await sessionsBytes()]).toEqual(before);
    // Also beside a turn that runs, and from one that others follow.
    engine.use({ delayMilliseconds: 10 });
    const running = alice.made({ input: "So?", instructions: "Be brief.", previous_response_id: first.id });
    const beside = await alice.made({ input: "And?", instructions: "Be brief.", store: false, previous_response_id: first.id });
    await running;
    const after = await alice.made({ input: "And?", instructions: "Be brief.", store: false, previous_response_id: first.id });
    for (const made of [beside, after]) expect(textOf(made)).toBe(await oracle([system("Be brief."), ...said]));
    expect((await kept()).map(([, turns]) => turns)).toEqual([2]);
    const refused = await alice.respond({ input: "And?", store: false, conversation: "conv_1" });
    expect(await failure(refused)).toMatchObject({
      param: "store",
      message: expect.stringContaining("must be true in a conversation") as string,
    });
  });

  test("what is not to be stored ends where its client leaves, and leaves nothing then either", async () => {
    const first = await alice.made({ input: longText });
    const bytes = async () => (await (await alice.call("GET", "/v1/usage")).json<{ bytes: { sessions: number } }>()).bytes.sessions;
    const before = await bytes();
    engine.use({ delayMilliseconds: 20 });
    const body = { input: "And?", store: false, previous_response_id: first.id, max_output_tokens: 400, stream: true };
    const reader = (await alice.respond(body)).body?.getReader();
    await reader?.read();
    await expect.poll(() => engine.running).toBe(1);
    expect(await bytes()).toBeGreaterThan(before);
    await reader?.cancel();
    await expect.poll(() => engine.running, { timeout: 5_000 }).toBe(0);
    expect(engine.generatedTokens).toBeLessThan(400);
    await expect.poll(bytes, { timeout: 5_000 }).toBe(before);
    engine.use({ refuse: scriptedFailure });
    expect((await alice.respond({ ...body, stream: false })).status).toBe(503);
    expect(await bytes()).toBe(before);
  });

  test.each<[string, Json, string]>([
    ["truncation", { truncation: "auto" }, "truncation"],
    ["a tool of another kind", { tools: [{ type: "file_search", vector_store_ids: [] }] }, "tools[0].type"],
    ["a choice of a function that is not there", { tool_choice: { type: "function", name: "f" } }, "tool_choice.name"],
    ["a format that nobody knows", { text: { format: { type: "xml" } } }, "text.format.type"],
    [
      "a schema that no text can be held to",
      { ignore_eos: false, text: { format: { type: "json_schema", name: "a", schema: { not: {} } } } },
      "text.format.schema",
    ],
    ["a format under its name in chats", { response_format: { type: "json_object" } }, "response_format"],
    ["an image", { input: [{ role: "user", content: [{ type: "input_image", image_url: "data:," }] }] }, "input[0].content[0].type"],
    ["a reference to an item", { input: [{ type: "item_reference", id: "msg_1" }] }, "input[0].type"],
    ["arguments that are no object", { input: [{ type: "function_call", call_id: "c", name: "f", arguments: "[" }] }, "input[0].arguments"],
    ["an output of no call", { input: [{ type: "function_call_output", call_id: "c", output: "1" }] }, "input"],
    ["reasoning", { reasoning: { effort: "high" } }, "reasoning"],
    ["two ways to go on", { previous_response_id: "resp_1", conversation: "conv_1" }, "conversation"],
    ["more metadata than there may be", { metadata: { a: "b".repeat(513) } }, "metadata.a"],
    ["what nobody knows", { inputs: "Hi" }, "inputs"],
    ["an item that is included and never there", { include: ["file_search_call.results"] }, "include[0]"],
  ])("%s: refused by name", async (_name, body, param) => {
    const response = await alice.respond({ input: "Hi", ...body });
    expect(response.status).toBe(400);
    expect(await failure(response)).toMatchObject({ param });
  });
});

describe("tokens of an input are counted", () => {
  const count = async (body: Json): Promise<number> => {
    const response = await alice.call("POST", "/v1/responses/input_tokens", { model: "tiny", ...body });
    const counted = await response.json<{ object: string; input_tokens: number }>();
    expect(counted.object).toBe("response.input_tokens");
    return counted.input_tokens;
  };

  test("as the response would use them, whatever it goes on from", async () => {
    const first = await alice.made({ input: longText, instructions: "Be brief." });
    expect(await count({ input: longText, instructions: "Be brief." })).toBe(first.usage?.input_tokens);
    await alice.made({ input: "Then?", instructions: "Be brief.", previous_response_id: first.id });
    for (const instructions of ["Be brief.", null, "Be long, be very long."]) {
      const body = { input: "And?", instructions, previous_response_id: first.id };
      const counted = await count(body);
      expect((await alice.made(body)).usage?.input_tokens).toBe(counted);
    }
    const refused = await alice.call("POST", "/v1/responses/input_tokens", { model: "tiny", input: "a", previous_response_id: "resp_1" });
    expect([refused.status, (await failure(refused)).param]).toEqual([404, "previous_response_id"]);
  });
});

describe("conversations", () => {
  test("hold their responses' items, and are deleted as what they are", async () => {
    const made = await alice.call("POST", "/v1/conversations", { metadata: { of: "test" } });
    const conversation = await made.json<{ id: string; object: string; created_at: number; metadata: object }>();
    expect(conversation).toMatchObject({ object: "conversation", metadata: { of: "test" } });
    const path = `/v1/conversations/${conversation.id}`;
    const noted = await (await alice.call("POST", path, { metadata: { now: "other" } })).json();
    expect(noted).toEqual({ ...conversation, metadata: { now: "other" } });
    expect(await (await alice.call("GET", path)).json()).toEqual(noted);

    const messages: Message[] = [];
    const responses: ResponseObject[] = [];
    for (const input of ["One?", "Two?", "Three?"]) {
      const response = await alice.made({ input, conversation: conversation.id });
      expect(response).toMatchObject({ conversation: { id: conversation.id } });
      messages.push(user(input));
      expect(textOf(response)).toBe(await oracle(messages));
      messages.push(assistant(textOf(response)));
      responses.push(response);
    }
    const items = async (query: string) =>
      await (await alice.call("GET", `${path}/items?${query}`)).json<{ data: Item[]; has_more: boolean }>();
    const { data, has_more } = await items("order=asc&limit=100");
    expect(data.map(({ role, content }) => ({ role, content: content?.[0]?.text }))).toEqual(messages);
    expect(has_more).toBe(false);
    expect(data.filter((_item, at) => at % 2 === 1)).toEqual(responses.map(({ output }) => output[0]));
    for (const order of ["asc", "desc"]) {
      const walked: Item[] = [];
      for (let more = true; more;) {
        const page: { data: Item[]; has_more: boolean } = await items(
          `order=${order}&limit=2${walked.length === 0 ? "" : `&after=${walked.at(-1)?.id ?? ""}`}`,
        );
        walked.push(...page.data);
        more = page.has_more;
      }
      expect(walked).toEqual(order === "asc" ? data : data.toReversed());
    }
    expect(await (await alice.call("GET", `${path}/items/${data[2]?.id ?? ""}`)).json()).toEqual(data[2]);
    expect((await alice.call("GET", `${path}/items/msg_1`)).status).toBe(404);

    // What is said in a conversation stays when the response is not to be found any more.
    expect((await alice.call("DELETE", `/v1/responses/${responses[2]?.id ?? ""}`)).status).toBe(200);
    expect((await items("order=asc")).data).toEqual(data);
    expect(await (await alice.call("DELETE", path)).json()).toEqual({ id: conversation.id, object: "conversation.deleted", deleted: true });
    expect((await alice.call("GET", path)).status).toBe(404);
    expect((await alice.call("GET", `/v1/responses/${responses[0]?.id ?? ""}`)).status).toBe(404);
    const next = await alice.respond({ input: "Four?", conversation: conversation.id });
    expect([next.status, (await failure(next)).code]).toEqual([404, "conversation_not_found"]);
  });
});

test("the store of responses is bounded by the key's quota, which says what to do", async () => {
  setQuota(200_000);
  onTestFinished(() => {
    setQuota(undefined);
  });
  let refused: Response | undefined;
  for (let made = 0; made < 50 && refused === undefined; made++) {
    const response = await alice.respond({ input: `${longText}${String(made)}` });
    if (response.status !== 200) refused = response;
    else await response.body?.cancel();
  }
  expect(refused?.status).toBe(429);
  expect(await failure(refused as Response)).toMatchObject({ code: "quota_exceeded" });
  expect((await alice.respond({ input: "Hi", store: false })).status).toBe(200);
});

describe("what has function calls", () => {
  test("is exported and imported with them", async () => {
    const input = [
      { type: "function_call", call_id: "call_1", name: "warmth", arguments: "{}" },
      { type: "function_call_output", call_id: "call_1", output: "31" },
    ];
    const { id } = await alice.create();
    const said = await alice.made({ input, conversation: id });
    const exported = await alice.call("POST", `/v1/sessions/${id}/export`, {});
    const file = await exported.arrayBuffer();
    expect(new DataView(file).getUint32(4, true)).toBe(2);
    const imported = await request("/v1/sessions/import", { method: "POST", headers: alice.headers, body: file });
    const copy = await imported.json<{ id: string }>();
    const turnsOf = async (session: string) =>
      (await (await alice.call("GET", `/v1/sessions/${session}/turns`)).json<{ data: { messages: object[] }[] }>()).data;
    expect((await turnsOf(copy.id)).map(({ messages }) => messages)).toEqual([
      [
        { role: "assistant", content: "", tool_calls: [{ id: "call_1", type: "function", function: { name: "warmth", arguments: "{}" } }] },
        { role: "tool", content: "31", tool_call_id: "call_1" },
        { role: "assistant", content: textOf(said) },
      ],
    ]);
    const next = { input: "And?", instructions: "Be brief." };
    expect(textOf(await alice.made({ ...next, conversation: copy.id }))).toBe(textOf(await alice.made({ ...next, conversation: id })));
  });
});

test("responses that begin alike share the state of their beginning, once it is asked for often", async () => {
  const instructions = "You are a pirate, and a very polite one, who knows all ships by their names. ".repeat(4);
  const cached: number[] = [];
  for (const input of ["One?", "Two?", "Three?", "Four?"]) {
    const made = await alice.made({ input, instructions });
    expect(textOf(made)).toBe(await oracle([system(instructions), user(input)]));
    cached.push(made.usage?.input_tokens_details.cached_tokens ?? 0);
  }
  expect(cached[0]).toBe(0);
  expect(cached.at(-1)).toBeGreaterThan(instructions.length / 2);
});
