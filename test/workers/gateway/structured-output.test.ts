/** Answers that are held to a schema, a pattern, a choice or a grammar, through the API: what comes out fits, and what can't be held to is refused by name. */
import { beforeEach, describe, expect, test } from "vitest";
import { chat, complete, failure, json, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { assistant, oracle, SessionClient, user } from "../support/session-client.ts";
import { idOf, tinyTokenizer } from "../support/tiny-tokenizer.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";

beforeEach(() => engine.use({}));

const person = {
  type: "object",
  properties: { name: { enum: ["Ada", "Bo"] }, age: { type: "integer", minimum: 1, maximum: 99 } },
  required: ["name", "age"],
  additionalProperties: false,
};
const schemaFormat = (schema: unknown, more: Json = {}): Json => ({
  response_format: { type: "json_schema", json_schema: { name: "person", schema, ...more } },
});
const tokenizer = Tokenizer.fromTokenizerFile(tinyTokenizer);
const ask = { max_tokens: 120, temperature: 0 };

interface Whole {
  readonly choices: readonly { readonly message: { readonly content: string }; readonly text: string; readonly finish_reason: string }[];
}
const chosen = async (response: Response): Promise<Whole["choices"]> => {
  expect(response.status).toBe(200);
  return (await response.json<Whole>()).choices;
};

test("a JSON schema: the answer fits it, whole or streamed, and the schema is told in the prompt", async () => {
  const [whole] = await chosen(await chat({ ...ask, ...schemaFormat(person, { strict: true }) }));
  expect(whole?.finish_reason).toBe("stop");
  const value = JSON.parse(whole?.message.content ?? "") as { name: string; age: number };
  expect(Object.keys(value)).toEqual(["name", "age"]);
  expect(["Ada", "Bo"]).toContain(value.name);
  expect(value.age).toBeGreaterThanOrEqual(1);
  expect(value.age).toBeLessThanOrEqual(99);
  const streamed = await (await chat({ ...ask, ...schemaFormat(person), stream: true })).text();
  const text = [...streamed.matchAll(/"delta":\{"content":("(?:[^"\\]|\\.)*")/g)]
    .map(([, part]) => JSON.parse(part ?? '""') as string)
    .join("");
  expect(text).toBe(whole?.message.content);
  const [told, plain] = [engine.calls[0]?.prompt.length ?? 0, (await chat(ask), engine.calls.at(-1)?.prompt.length ?? 0)];
  expect(told).toBeGreaterThan(plain + 100);
});

test("a turn of a session: it fits, its prompt stays as it is, its state is gone on with, and the next turn is free", async () => {
  const alice = new SessionClient();
  const { id } = await alice.create();
  const say = (messages: readonly object[], body: Json = {}) =>
    request("/v1/chat/completions", json({ model: "tiny", ...ask, ...body, session_id: id, messages }, alice.headers));
  const first = await alice.say(id, "Who are you?");
  const question = [user("Tell me more of yourself, and of those who came with you.")];
  for (const [format, fits] of [
    [schemaFormat(person, { strict: true }), /^\{"name":"(Ada|Bo)","age":\d{1,2}\}$/],
    [{ structured_outputs: { regex: "[a-c]{3}-[0-9]{2}" } }, /^[a-c]{3}-\d{2}$/],
    [{ structured_outputs: { choice: ["yes", "no"] } }, /^(yes|no)$/],
  ] as const) {
    const answered = await say(question, format);
    expect(answered.headers.get("x-spikingbrain-cache")).toMatch(/^hit.*session/);
    const [choice] = await chosen(answered);
    expect([choice?.message.content, choice?.finish_reason]).toEqual([expect.stringMatching(fits), "stop"]);
    expect((await alice.call("POST", `/v1/sessions/${id}/rewind`, { turn: 1 })).status).toBe(200);
    // Streamed, and over an engine that dies within it, it is the same.
    engine.use({ breakAt: { token: 2, how: "error" } });
    const streamed = say(question, { ...format, stream: true });
    await expect.poll(() => engine.calls.length).toBe(2);
    engine.script = {};
    const told = [...(await (await streamed).text()).matchAll(/"delta":\{"content":("(?:[^"\\]|\\.)*")/g)];
    expect(told.map(([, part]) => JSON.parse(part ?? '""') as string).join("")).toBe(choice?.message.content);
    // What is said next goes on from its state, and is as it is after the whole conversation.
    const next = await alice.say(id, "So?");
    expect(next.cached).toBeGreaterThan(first.prompt);
    const before = [user("Who are you?"), assistant(first.text), ...question, assistant(choice?.message.content ?? "")];
    expect(next.text).toBe(await oracle([...before, user("So?")]));
    expect((await alice.call("POST", `/v1/sessions/${id}/rewind`, { turn: 1 })).status).toBe(200);
  }
  const refused = await say(question, schemaFormat({ not: {} }));
  expect([refused.status, (await failure(refused)).param]).toEqual([400, "response_format.json_schema.schema"]);
  expect((await alice.facts(id)).turns).toBe(1);
});

test("several choices with seeds, stop strings and log-probabilities", async () => {
  const warm = { max_tokens: 200, temperature: 1.5, seed: 7, n: 4, logprobs: true, top_logprobs: 2, ...schemaFormat(person) };
  const choices = await chosen(await chat(warm));
  for (const { message, finish_reason: reason } of choices) {
    expect(reason).toBe("stop");
    expect(JSON.parse(message.content)).toMatchObject({ age: expect.any(Number) as number });
  }
  expect((await chosen(await chat(warm))).map(({ message }) => message.content)).toEqual(choices.map(({ message }) => message.content));
  const [stopped] = await chosen(await chat({ ...ask, ...schemaFormat(person), stop: '"age"' }));
  expect(stopped?.message.content).toMatch(/^\{"name":"(Ada|Bo)",$/);
  const [short] = await chosen(await chat({ ...ask, ...schemaFormat(person), max_tokens: 3 }));
  expect(short?.finish_reason).toBe("length");
});

test.each<[string, Json, RegExp]>([
  ["any JSON object", { json_object: true }, /^\{.*\}?/s],
  ["a schema as text", { json: JSON.stringify({ const: { a: [1, "b"] } }) }, /^\{"a":\[1,"b"\]\}$/],
  ["a pattern", { regex: "[a-c]{3}-[0-9]{2}" }, /^[a-c]{3}-\d{2}$/],
  ["a choice", { choice: ["red", "green", "blue <|im_end|>"] }, /^(red|green|blue <\|im_end\|>)$/],
  ["a grammar", { grammar: 'start: "<" word ">"\nword: /[a-z]{2,4}/' }, /^<[a-z]{2,4}>$/],
])("structured_outputs: %s, in chat and in completions", async (_name, structured, pattern) => {
  const body = { ...ask, structured_outputs: structured };
  expect((await chosen(await chat(body)))[0]?.message.content).toMatch(pattern);
  expect((await chosen(await complete({ ...body, prompt: "Say" })))[0]?.text).toMatch(pattern);
});

test("an answer that was cut off goes on elsewhere with the very same text", async () => {
  const warm = { max_tokens: 200, temperature: 1, seed: 11, ...schemaFormat(person) };
  const [whole] = await chosen(await chat(warm));
  for (const tokens of [1, 5, 9]) {
    engine.use({ breakAt: { token: tokens, how: "error" } });
    const calls = chat(warm);
    await expect.poll(() => engine.calls.length).toBe(2);
    engine.script = {};
    expect((await chosen(await calls))[0]?.message.content).toBe(whole?.message.content);
    expect(engine.calls[1]?.continued).toBe(tokens);
  }
});

test("allowed tokens and bad words", async () => {
  const letters = ["a", "b", "c"].map(idOf);
  const [only] = await chosen(await complete({ prompt: "x", max_tokens: 12, temperature: 1, seed: 1, allowed_token_ids: letters }));
  expect(only?.text).toMatch(/^[abc]{12}$/);
  const [free] = await chosen(await complete({ prompt: "x", max_tokens: 12, temperature: 0 }));
  const word = Array.from(free?.text ?? "").find((letter) => /[!-~]/.test(letter)) ?? "a";
  const [without] = await chosen(await complete({ prompt: "x", max_tokens: 12, temperature: 0, bad_words: [word] }));
  expect(without?.text).not.toContain(word);
});

/** As clients write them: JavaScript has no such numbers. */
const withDigits = (body: Json, digits: string) =>
  request("/v1/chat/completions", {
    ...json({}),
    body: JSON.stringify({ model: "tiny", messages: [{ role: "user", content: "hi" }], ...ask, ...body }).replaceAll('"@"', digits),
  });
const functionOf = (schema: Json): Json => ({
  tools: [{ type: "function", function: { name: "f", parameters: { type: "object", properties: { n: schema }, required: ["n"] } } }],
  tool_choice: "required",
});

describe("numbers beyond a double", () => {
  test.each<[string, Json, string, RegExp]>([
    ["a constant that is a double", { const: "@" }, "10000000000000002", /^10000000000000002$/],
    ["a bound that is a double", { type: "integer", minimum: "@", maximum: "@" }, "-9007199254740994", /^-9007199254740994$/],
    ["a bound that no integer of 64 bits is beyond", { type: "integer", minimum: 7, maximum: "@" }, "18446744073709551615", /^\d+$/],
    ["what no text is held to", { const: 5, default: "@" }, "12345678901234567890", /^5$/],
  ])("held to exactly: %s", async (_name, schema, digits, pattern) => {
    const [whole] = await chosen(await withDigits(schemaFormat(schema), digits));
    expect(whole?.message.content).toMatch(pattern);
    // Of the prompt, which tells the schema, as well as of the constraint.
    expect(tokenizer.decode(engine.calls.at(-1)?.prompt ?? [])).toContain(digits);
    expect(engine.calls.at(-1)?.constraint?.text).toContain(digits);
  });

  test.each<[string, Json, string, string]>([
    ["a constant", { const: "@" }, "9007199254740993", "const"],
    ["one of a constant's numbers", { enum: [1, { a: ["@"] }] }, "9007199254740993", "enum.1.a.0"],
    ["a constant of more than 64 bits", { const: "@" }, "9223372036854775808", "const"],
    ["a constant with more digits than a double", { const: "@" }, "0.12345678901234567890", "const"],
    ["a bound", { type: "integer", minimum: "@" }, "9007199254740993", "minimum"],
    ["a bound of numbers", { type: "number", maximum: "@" }, "9223372036854775807", "maximum"],
    ["an exclusive bound", { type: "integer", exclusiveMinimum: "@" }, "9007199254740992", "exclusiveMinimum"],
    ["a factor", { type: "integer", multipleOf: "@" }, "9007199254740993", "multipleOf"],
    ["the least integer of 64 bits", { type: "integer", minimum: "@" }, "-9223372036854775808", "minimum"],
    ["a number that is too large", { type: "number", maximum: "@" }, "1e999", "maximum"],
  ])("refused by name: %s", async (_name, schema, digits, path) => {
    const forms: [Json, string, string][] = [
      [schemaFormat(schema), "response_format.json_schema.schema", path],
      [functionOf(schema), "tools[0].function.parameters", `properties.n.${path}`],
      [{ structured_outputs: { json: JSON.stringify(schema) } }, "structured_outputs.json", path],
      [{ structured_outputs: { grammar: `start: "a" %json ${JSON.stringify(schema)}` } }, "structured_outputs.grammar", path],
    ];
    for (const [body, param, at] of forms) {
      const { structured_outputs: texts } = body;
      const response = await (texts === undefined
        ? withDigits(body, digits)
        : chat({ ...ask, structured_outputs: withText(texts as Json, digits) }));
      const error = await failure(response);
      expect([response.status, error.param]).toEqual([400, param]);
      expect(error.message).toContain(`'${at}' has the number ${digits}, to which no text can be held exactly`);
    }
    expect(engine.calls).toEqual([]);
  });
});

/** In fields that are text themselves. */
const withText = (asked: Json, digits: string): Json =>
  Object.fromEntries(Object.entries(asked).map(([name, text]) => [name, (text as string).replaceAll('"@"', digits)]));

describe("refusals", () => {
  const param = "response_format.json_schema.schema";
  test.each<[string, Json, string, RegExp]>([
    ["an unsupported keyword", schemaFormat({ if: {} }), param, /"if".*not supported/],
    ["one below", schemaFormat({ type: "object", properties: { a: { not: {} } } }), param, /"not".*not supported/],
    ["a schema that nothing fits", schemaFormat({ $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/a" } } }), param, /no text fits it/],
    ["a reference elsewhere", schemaFormat({ $ref: "https://example.com/schema" }), param, /example\.com/],
    ["too deep", schemaFormat(nested(70)), param, /64 values deep/],
    ["too many values of enums", schemaFormat({ enum: Array.from({ length: 5001 }, (_unused, at) => at) }), param, /5000 values/],
    [
      "a count beyond its bound",
      schemaFormat({ type: "array", maxItems: 1_000_000 }),
      param,
      /'maxItems' may be at most 4096; it is 1000000/,
    ],
    ["options of the library", schemaFormat({ "x-guidance": { lenient: true } }), param, /'x-guidance' is not supported/],
    [
      "parts that multiply",
      schemaFormat({ allOf: Array.from({ length: 20 }, (_unused, at) => ({ anyOf: [{ minimum: at }, { type: "null" }] })) }),
      param,
      /combined in more than 512 ways/,
    ],
    ["a schema too long", schemaFormat({ description: "x".repeat(70_000) }), param, /65536 characters/],
    [
      "strict without additionalProperties",
      schemaFormat({ ...person, additionalProperties: true }, { strict: true }),
      param,
      /'additionalProperties': false/,
    ],
    ["strict with an optional property", schemaFormat({ ...person, required: ["name"] }, { strict: true }), param, /does not name 'age'/],
    [
      "strict below",
      schemaFormat({ ...person, properties: { a: { type: "object" } }, required: ["a"] }, { strict: true }),
      param,
      /'properties\.a' must have/,
    ],
    ["a name with blanks", schemaFormat(person, { name: "a b" }), "response_format.json_schema.name", /letters, digits/],
    ["a pattern with look-ahead", { structured_outputs: { regex: "a(?=b)" } }, "structured_outputs.regex", /look-around/],
    ["a grammar with an unknown rule", { structured_outputs: { grammar: "start: nothing" } }, "structured_outputs.grammar", /unknown name/],
    [
      "a grammar with a special token",
      { structured_outputs: { grammar: "start: <|im_end|>" } },
      "structured_outputs.grammar",
      /cannot be named/,
    ],
    ["two at once", { structured_outputs: { regex: "a", choice: ["a"] } }, "structured_outputs", /exactly one/],
    ["both fields", { ...schemaFormat(person), structured_outputs: { regex: "a" } }, "structured_outputs", /must be left out/],
    ["ends that are ignored", { ...schemaFormat(person), ignore_eos: true }, "ignore_eos", /must be false/],
    ["a tag", { structured_outputs: { structural_tag: "{}" } }, "structured_outputs.structural_tag", /not supported/],
    ["an allowed token beyond the vocabulary", { allowed_token_ids: [99_999] }, "allowed_token_ids", /vocabulary/],
  ])("%s", async (_name, body, field, message) => {
    const response = await chat(body);
    expect(response.status).toBe(400);
    const error = await failure(response);
    expect(error.param).toBe(field);
    expect(error.message).toMatch(message);
    expect(engine.calls).toEqual([]);
  });

  test("a hostile grammar takes nobody else's answer along", async () => {
    const hostile = ["(a?){2000}a{2000}", "((((a*)*)*)*)*".repeat(200), "[0-9".repeat(50)];
    const bodies = hostile.map((regex) => chat({ ...ask, max_tokens: 4, structured_outputs: { regex } }));
    const [whole] = await chosen(await chat({ ...ask, ...schemaFormat(person) }));
    expect(JSON.parse(whole?.message.content ?? "")).toMatchObject({ name: expect.any(String) as string });
    for (const response of await Promise.all(bodies)) expect([200, 400]).toContain(response.status);
  });

  test("a model whose backend holds to none", async () => {
    const error = await failure(await chat({ model: "plain", ...schemaFormat(person) }));
    expect(error).toMatchObject({ code: "unsupported_field", param });
  });
});

function nested(depth: number): Json {
  return depth === 0 ? {} : { items: nested(depth - 1) };
}
