/**
 * Hostile schemas, patterns and grammars over HTTP, each way in that there is: refused with the request's field and the rule, before any backend is
 * asked. One that is not seen through ends its answer by one error, and nobody else's.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { chat, dataLines, failure, post, readToEnd, type ErrorAnswer, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";

beforeEach(() => engine.use({}));

const many = <T>(count: number, of: (at: number) => T): T[] => Array.from({ length: count }, (_unused, at) => of(at));
const named = (count: number, prefix: string, of: (at: number) => unknown): Json =>
  Object.fromEntries(many(count, (at) => [`${prefix}${String(at)}`, of(at)]));
const nested = (depth: number): Json => (depth === 0 ? {} : { type: "array", items: nested(depth - 1) });
const either = (at: number): Json => ({ anyOf: [{ minimum: at }, { maximum: 0 }] });
const text = (pattern: string): Json => ({ type: "string", pattern });

/** What is wrong with each, and the words by which it is named. */
const schemas: readonly (readonly [string, Json, RegExp])[] = [
  ["characters", { description: "x".repeat(70_000) }, /65536 characters/],
  ["depth", nested(70), /64 values deep/],
  ["values", { enum: many(4, (at) => many(3000, (one) => one + at)) }, /10000 values/],
  ["values of an enum", { enum: many(5001, (at) => at) }, /its enums together may have 5000 values/],
  ["values of many enums", { properties: named(6, "p", () => ({ enum: many(900, (at) => at) })) }, /5000 values/],
  [
    "properties",
    { properties: { a: { properties: named(1001, "p", () => true) } } },
    /'properties\.a\.properties' may have 1000 properties/,
  ],
  ["properties that may be left out", { type: "object", properties: named(1000, "p", () => ({ type: "string" })) }, /takes too much work/],
  ["a count", { type: "array", maxItems: 1_000_000 }, /maxItems' may be at most 4096; it is 1000000/],
  ["a reference to itself", { $ref: "#" }, /no text fits it|cannot be held to/],
  [
    "references in a ring",
    { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } },
    /no text fits it|cannot be held to/,
  ],
  ["a reference to nothing", { $ref: "#/$defs/none" }, /\$defs\/none/],
  ["a reference elsewhere", { $ref: "https://example.com/schema" }, /example\.com/],
  [
    "references one after another",
    { $ref: "#/$defs/d0", $defs: named(700, "d", (at) => ({ items: { $ref: `#/$defs/d${String(at + 1)}` } })) },
    /cannot be held to/,
  ],
  [
    "an array of nothing but itself",
    { $ref: "#/$defs/a", $defs: { a: { type: "array", minItems: 1, items: { $ref: "#/$defs/a" } } } },
    /no text fits|too much|deep/,
  ],
  ["parts that multiply", { allOf: many(20, either) }, /combined in more than 512 ways/],
  ["a factor", { type: "integer", multipleOf: 999_999_937 }, /fuel/],
  ["a long pattern", text("a".repeat(2049)), /2048 characters/],
  ["repeats within repeats", text("^(a{0,1000}){0,1000}$"), /takes too much work/],
  ["repeats that may be left out", text("^(a?){1000}a{1000}$"), /takes too much work/],
  ["a count in a pattern", text("^a{100000}{100000}$"), /cannot be held to/],
  ["look-around", text("^(?=a)b$"), /look-around/],
  ["a reference in a pattern", text("^(a)\\1$"), /backreferences/],
  [
    "patterns beside each other",
    { anyOf: many(40, (at) => text(`^.*${String.fromCharCode(97 + (at % 26))}.{${String(at)}}$`)) },
    /takes too much work/,
  ],
  ["a keyword", { not: { type: "string" } }, /"not".*not supported/],
  ["conditions", { if: {}, then: {}, else: {} }, /"if".*not supported/],
  ["different items", { type: "array", uniqueItems: true }, /"uniqueItems".*not supported/],
  ["a format", { type: "string", format: "nothing-known" }, /nothing-known/],
  ["parts of oneOf that overlap", { oneOf: [{ type: "integer" }, { type: "number" }] }, /oneOf/],
  ["options of the library", { "x-guidance": { lenient: true } }, /'x-guidance' is not supported/],
];

/** Of the ways in: what a request has a schema in, and the field that a refusal names. */
const ask = { model: "tiny", max_tokens: 20 };
const messages = [{ role: "user", content: "hi" }];
const asArguments = (schema: Json): Json => ({ type: "object", properties: { n: schema } });
const ways: readonly (readonly [string, (schema: Json) => Promise<Response>, string])[] = [
  ["structured_outputs", (json) => chat({ structured_outputs: { json } }), "structured_outputs.json"],
  ["a schema as text", (json) => chat({ structured_outputs: { json: JSON.stringify(json) } }), "structured_outputs.json"],
  [
    "response_format",
    (schema) => chat({ response_format: { type: "json_schema", json_schema: { name: "a", schema } } }),
    "response_format.json_schema.schema",
  ],
  [
    "tools",
    (schema) => chat({ tools: [{ type: "function", function: { name: "f", parameters: asArguments(schema) } }] }),
    "tools[0].function.parameters",
  ],
  ["completions", (json) => post("/v1/completions", { ...ask, prompt: "hi", structured_outputs: { json } }), "structured_outputs.json"],
  [
    "responses",
    (schema) => post("/v1/responses", { model: "tiny", input: "hi", text: { format: { type: "json_schema", name: "a", schema } } }),
    "text.format.schema",
  ],
  [
    "functions of responses",
    (schema) =>
      post("/v1/responses", { model: "tiny", input: "hi", tools: [{ type: "function", name: "f", parameters: asArguments(schema) }] }),
    "tools[0].parameters",
  ],
  [
    "Anthropic's tools",
    (schema) => post("/v1/messages", { ...ask, messages, tools: [{ name: "f", input_schema: asArguments(schema) }] }),
    "tools[0].input_schema",
  ],
];

describe("a schema, refused by name", () => {
  test.each(schemas)("%s", async (_name, schema, message) => {
    const response = await chat({ structured_outputs: { json: schema } });
    const error = await failure(response);
    expect([response.status, error.param, error.code]).toEqual([400, "structured_outputs.json", "invalid_request"]);
    expect(error.message).toMatch(message);
    expect(error.message.length).toBeLessThan(800);
    expect(engine.calls).toEqual([]);
  });

  test.each(ways)("in each way in: %s", async (_name, send, param) => {
    for (const name of ["a keyword", "repeats within repeats", "a reference elsewhere", "parts that multiply", "a count"]) {
      const [, schema, message] = schemas.find(([one]) => one === name) ?? ["", {}, /none/];
      const response = await send(schema);
      const { error } = await response.json<ErrorAnswer>();
      expect([response.status, error.message]).toEqual([400, expect.stringMatching(message)]);
      // Anthropic's errors have no place for the field: their message has it.
      expect(`${error.message} ${String(error.param)}`).toContain(param);
    }
    expect(engine.calls).toEqual([]);
  });
});

describe("a pattern or a grammar, refused by name", () => {
  test.each<[string, "regex" | "grammar" | "choice", unknown, RegExp]>([
    ["repeats within repeats", "regex", "(a{0,1000}){0,1000}", /what may follow \d+ bytes of a text takes too much work/],
    ["repeats that may be left out", "regex", "(a?){1000}a{1000}", /begin with takes too much work/],
    ["look-around", "regex", "a(?=b)", /look-around/],
    ["an open class", "regex", "[0-9".repeat(50), /unclosed character class/],
    ["counts of counts", "regex", "((a{1000}){1000}){1000}", /cannot be held to/],
    ["a rule that begins and ends with itself", "grammar", 'start: e\ne: e e | "x"', /a rule that both begins and ends with itself/],
    ["with an operator", "grammar", 'start: e\ne: e "+" e | /[0-9]+/', /takes too much work/],
    ["counted rules of counted rules", "grammar", 'start: a{0,100}\na: b{0,100}\nb: "x" | "y"', /takes too much work/],
    ["repeats beside repeats", "grammar", 'start: a b c d\na: "x"*\nb: "x"*\nc: "x"*\nd: "x"*', /takes too much work/],
    ["no end", "grammar", 'start: "a" start', /no text fits|cannot be held to/],
    ["an unknown rule", "grammar", "start: nothing", /unknown name/],
    ["a special token", "grammar", "start: <|im_end|>", /cannot be named/],
    ["a token by its number", "grammar", "start: <[1-9]>", /cannot be named/],
    ["many rules", "grammar", `start: r0\n${many(260, (at) => `r${String(at)}: "a"`).join("\n")}`, /250 rules/],
    ["options of the library", "grammar", 'start: %json {"x-guidance": {"lenient": true}}', /'x-guidance' is not supported/],
    ["a schema that is too deep", "grammar", `start: %json ${JSON.stringify(nested(70))}`, /64 values deep/],
    ["a reference of a grammar's schema", "grammar", 'start: %json {"$ref": "https://example.com/a"}', /example\.com/],
    ["characters", "grammar", `start: "${"x".repeat(70_000)}"`, /65536 characters/],
    ["texts of a choice", "choice", many(1025, String), /1024/],
  ])("%s", async (_name, field, value, message) => {
    const response = await chat({ structured_outputs: { [field]: value } });
    const error = await failure(response);
    expect([response.status, error.param?.replace(/\[.*/, "")]).toEqual([400, `structured_outputs.${field}`]);
    expect(error.message).toMatch(message);
    expect(engine.calls).toEqual([]);
  });
});

/** Nothing of it shows before the answer has 260 letters. */
const hidden = { structured_outputs: { grammar: "start: /[a-z]{260}/ /(a?){1400}a{1400}/" }, max_tokens: 400, temperature: 1, seed: 3 };
const broken = {
  message: expect.stringMatching(/^constraint cannot be held to: /) as string,
  param: "constraint",
  code: "invalid_request",
};

describe("a grammar that is not seen through", () => {
  test("ends its answer by one error that names the constraint, streamed or not", async () => {
    const whole = await readToEnd(await chat(hidden));
    expect(JSON.parse(whole.text)).toEqual({ error: { ...broken, type: "invalid_request_error" } });
    const streamed = await readToEnd(await chat({ ...hidden, stream: true }));
    const lines = dataLines(streamed.text).map((line) => JSON.parse(line) as { readonly choices?: object; readonly error?: object });
    expect(lines.filter(({ error }) => error !== undefined)).toEqual([{ error: { ...broken, type: "invalid_request_error" } }]);
    expect(lines.at(-1)?.error).toBeDefined();
    expect(lines.length).toBeGreaterThan(100);
    expect(streamed.text).not.toContain("[DONE]");
    expect(streamed.text).not.toMatch(/"finish_reason":"/);
  });

  test("costs those who answer beside it nothing of their texts, nor does what is refused", async () => {
    const person = {
      type: "object",
      properties: { name: { type: "string", maxLength: 200 } },
      required: ["name"],
      additionalProperties: false,
    };
    const quiet = () => chat({ max_tokens: 250, temperature: 1, seed: 5, structured_outputs: { json: person } });
    const alone = await (await quiet()).json<{ readonly choices: object }>();
    const beside = quiet();
    const hostile = [
      chat(hidden),
      chat({ ...hidden, seed: 4, stream: true }),
      ...many(6, () => chat({ structured_outputs: { regex: "(a?){1000}a{1000}" } })),
    ];
    expect((await (await beside).json<{ readonly choices: object }>()).choices).toEqual(alone.choices);
    for (const response of await Promise.all(hostile)) await readToEnd(response);
  });
});
