/** Responses over HTTP: turns of sessions under OpenAI's names. The oracle is the whole conversation, sent as chat without a key. */
import { beforeEach, describe, expect, test } from "vitest";
import { failure, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { responseIn, ResponseClient, textOf } from "../support/response-client.ts";
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
    const refused = await alice.call("GET", `/v1/responses/${first.id}/input_items?include=nothing`);
    expect([refused.status, (await failure(refused)).param]).toEqual([400, "include"]);
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
  ["reasoning in a form that nobody knows", { reasoning: { depth: null } }, "reasoning"],
  ["reasoning that is no object", { reasoning: [] }, "reasoning"],
  ["two ways to go on", { previous_response_id: "resp_1", conversation: "conv_1" }, "conversation"],
  ["more metadata than there may be", { metadata: { a: "b".repeat(513) } }, "metadata.a"],
  ["what nobody knows", { inputs: "Hi" }, "inputs"],
  ["an item that is included and never there", { include: ["file_search_call.results"] }, "include[0]"],
])("%s: refused by name", async (_name, body, param) => {
  const response = await alice.respond({ input: "Hi", ...body });
  expect(response.status).toBe(400);
  expect(await failure(response)).toMatchObject({ param });
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
