/** Texts that are held to constraints, over the real library and a tokenizer of bytes: what comes out fits, wherever it is taken up, whatever traps. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { mostChoices, type Constraint, type GrammarStep } from "../../../workers/contracts/constraint.ts";
import { GrammarTexts, type TextTokenizer } from "../../../workers/grammar/texts.ts";
import { tokensOf, WasmGrammar } from "../../../workers/grammar/wasm-grammar.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { callsGrammar } from "../../../workers/models/call-form.ts";
import { CallParser } from "../../../workers/session/answers/text/call-parser.ts";
import { bytesAsTokens, endOfTurn, tinyTokenizer } from "../support/tiny-tokenizer.ts";
import { seeded } from "../support/dice.ts";
import { randomSchema } from "./random-schema.ts";
import { accepts, idsOf, walk } from "./walk.ts";

/** Workers may not make modules of bytes, and their types say so. */
const { Module } = (globalThis as unknown as { readonly WebAssembly: { readonly Module: new (bytes: Uint8Array) => WebAssembly.Module } })
  .WebAssembly;
const code = new Module(readFileSync("wasm/pkg/grammar/grammar.wasm"));
const tokenizer = Tokenizer.fromTokenizerFile(tinyTokenizer);
const size = tinyTokenizer.tokens.length;
const tiny: TextTokenizer = { digest: "tiny", tokens: () => tokensOf(tokenizer, size, [endOfTurn]) };
const closing = bytesAsTokens('"}]');
const schema = (value: unknown): Constraint => ({ kind: "json_schema", text: JSON.stringify(value) });
const options = (seed: number) => {
  const dice = seeded(seed);
  return { random: () => dice.below(2 ** 30) / 2 ** 30, closing, most: 1500 };
};

describe("random schemas", () => {
  const texts = new GrammarTexts(code);

  test("what is written fits, as another validator sees it; what does not fit is refused", () => {
    const counts = { written: 0, refused: 0, wrong: 0 };
    for (let seed = 0; seed < 120; seed += 1) {
      const { random } = options(seed);
      const value = randomSchema(random);
      const validator = z.fromJSONSchema(value);
      for (let round = 0; round < 3; round += 1) {
        const { tokens, isWhole } = walk(texts, schema(value), tiny, options(1000 * round + seed));
        if (!isWhole) continue;
        const text = tokenizer.decode(tokens);
        const written: unknown = JSON.parse(text);
        expect(validator.safeParse(written), `${JSON.stringify(value)}: ${text}`).toMatchObject({ success: true });
        counts.written += 1;
        const other: unknown = [written, null, [], {}, "zz zz zz zz zz zz", -1e9, true][Math.floor(random() * 7)];
        const fits = validator.safeParse(other).success;
        const isAccepted = accepts(texts, schema(value), tiny, [...tokenizer.encode(JSON.stringify(other))]);
        if (!fits) counts.wrong += 1;
        if (!fits) expect(isAccepted, `${JSON.stringify(value)}: ${JSON.stringify(other)}`).toBe(false);
      }
    }
    expect(counts.written).toBeGreaterThan(250);
    expect(counts.wrong).toBeGreaterThan(100);
  });

  test("a text that is taken up after any of its tokens has the same next ones, forced ones too", () => {
    for (let seed = 0; seed < 12; seed += 1) {
      const { random } = options(seed);
      const held = schema({
        type: "object",
        properties: { name: randomSchema(random, 1), "a long name": randomSchema(random, 0) },
        required: ["name", "a long name"],
        additionalProperties: false,
      });
      const { tokens } = walk(texts, held, tiny, options(seed));
      let at = 0;
      for (const cut of tokens.keys()) {
        const { text, step } = texts.open(held, tiny, Uint32Array.from(tokens.slice(0, cut)));
        text.close();
        const forced = [...step.forced];
        expect(tokens.slice(cut, cut + forced.length)).toEqual(forced);
        const next = tokens[cut + forced.length];
        if (next !== undefined && step.mask !== null) expect(idsOf(step.mask)).toContain(next);
        at += 1;
      }
      expect(at).toBe(tokens.length);
    }
  });
});

test("no grammar reaches a special token", () => {
  const texts = new GrammarTexts(code);
  const special = tokenizer.specialTokens.map(({ id }) => id);
  for (const held of [
    { kind: "regex", text: "(?s:.*)" },
    { kind: "lark", text: 'start: "<|im_end|>" /.*/' },
    { kind: "choice", text: '["<|im_start|>"]' },
  ] as const) {
    for (const { mask } of walk(texts, held, tiny, { ...options(3), most: 60 }).steps)
      if (mask !== null) expect(idsOf(mask).filter((id) => special.includes(id))).toEqual([]);
  }
  expect(tokenizer.decode(walk(texts, { kind: "choice", text: '["<|im_end|>"]' }, tiny, options(1)).tokens)).toBe("<|im_end|>");
});

test("tokens that are taken back leave nothing", () => {
  const texts = new GrammarTexts(code);
  const held = schema({ enum: ["abc", "abd", 7] });
  const { text, step } = texts.open(held, tiny, new Uint32Array());
  const after = text.accept(Uint32Array.from(bytesAsTokens('"')));
  expect(text.rollback(1 + after.forced.length)).toEqual(step);
  expect(() => text.rollback(5)).toThrow(/only 0 tokens/);
  text.close();
  expect(texts.count).toBe(0);
});

test("calls of functions: of any text that is taken up, names and arguments are those that were offered, and nothing follows them", () => {
  const texts = new GrammarTexts(code);
  const schemaOf = (seed: number) => ({
    type: "object" as const,
    properties: { a: randomSchema(options(seed).random, 1) },
    required: ["a"],
    additionalProperties: false,
  });
  for (let seed = 0; seed < 12; seed += 1) {
    const functions = [0, 1].map((at) => ({ name: `f${String(at)}`, parameters: schemaOf(2 * seed + at) }));
    const ofChoice = (choice: "auto" | "required" | { readonly name: string }) => callsGrammar({ functions, choice, parallel: true });
    for (const [choice, begun] of [
      [ofChoice("auto"), "So <tool_call>"],
      [ofChoice("required"), ""],
      [ofChoice({ name: "f1" }), ""],
    ] as const) {
      const { tokens, isWhole } = walk(texts, choice, tiny, options(seed), [...tokenizer.encode(begun)]);
      if (!isWhole) continue;
      const parser = new CallParser("c");
      parser.push(tokenizer.decode(tokens));
      expect(parser.isWhole).toBe(true);
      for (const { name, arguments: given } of parser.calls) {
        const schemaOfName = functions.find((one) => one.name === name)?.parameters;
        expect(z.fromJSONSchema(schemaOfName ?? false).safeParse(JSON.parse(given)), given).toMatchObject({ success: true });
      }
      expect(accepts(texts, choice, tiny, [...tokens, ...tokenizer.encode(" and")])).toBe(false);
    }
    expect(accepts(texts, ofChoice("auto"), tiny, [...tokenizer.encode("So <tool_cal> it is")])).toBe(true);
  }
});

describe("a trap", () => {
  test("costs one instance: each text goes on in the next one", () => {
    const texts = new GrammarTexts(code);
    let traps = 0;
    const breaking: TextTokenizer = {
      digest: "breaking",
      tokens: () => ({
        ...tiny.tokens(),
        encode: (text) => {
          if (traps-- > 0) throw new RangeError("Maximum call stack size exceeded");
          return tokenizer.encode(text);
        },
      }),
    };
    const held = schema({
      type: "object",
      properties: { first: { enum: ["a", "b"] }, second: { const: 1 } },
      required: ["first", "second"],
      additionalProperties: false,
    });
    const quiet = texts.open(held, tiny, new Uint32Array());
    const { text, step } = texts.open(held, breaking, new Uint32Array());
    expect(step).toEqual(quiet.step);
    traps = 1;
    const letter = Uint32Array.from(bytesAsTokens("a"));
    const next = text.accept(letter);
    expect(texts.instances).toBe(2);
    expect(quiet.text.accept(letter)).toEqual(next);
    traps = 9;
    expect(() => text.rollback(1)).toThrow(/memory or stack/);
    traps = 0;
    expect(quiet.text.rollback(next.forced.length)).toBeDefined();
    text.close();
    quiet.text.close();
  });

  test("for want of memory is an error, and the code begins anew", () => {
    const small = new WasmGrammar(code, 5 << 20);
    const many = {
      size: 200_000,
      ends: [0],
      bytes: (id: number) => new TextEncoder().encode(`token ${String(id)}`),
      encode: () => new Uint32Array(),
    };
    expect(() => small.addTokenizer(1, many)).toThrow();
    expect(small.isTrapped).toBe(true);
    expect(() => small.accept(1, new Uint32Array())).toThrow(/trapped before/);
    expect(walk(new GrammarTexts(code), { kind: "regex", text: "ab" }, tiny, options(1)).isWhole).toBe(true);
  });
});

test("a long string of bounded length is taken to its end, although the library keeps fewer places than it looks at", () => {
  const texts = new GrammarTexts(code);
  const held = schema({ type: "string", minLength: 10, maxLength: 6000 });
  const { text } = texts.open(held, tiny, Uint32Array.from(bytesAsTokens('"')));
  let step: GrammarStep | undefined;
  for (let written = 0; written < 6000; written += 1) step = text.accept(Uint32Array.from(bytesAsTokens("a")));
  expect([...(step?.forced ?? [])]).toEqual(bytesAsTokens('"'));
  expect(texts.instances).toBe(1);
  text.close();
});

test("a long text that is forced as a whole is tokenized once, not once for each of its tokens", () => {
  const texts = new GrammarTexts(code);
  let looked = 0;
  const counting: TextTokenizer = {
    digest: "counting",
    tokens: () => ({
      ...tiny.tokens(),
      encode: (text) => {
        looked += text.length;
        return tokenizer.encode(text);
      },
    }),
  };
  const long = "ab ".repeat(7000);
  const { text, step } = texts.open(schema({ const: long }), counting, new Uint32Array());
  // 256 tokens are forced in a step, each of what is next alone: at most twice, and a kilobyte of it.
  expect([step.forced.length, looked < 256 * 2 * 1100]).toEqual([256, true]);
  text.close();
});

test("as many texts as a choice may have are held to, whatever they begin with", () => {
  const choices = Array.from({ length: mostChoices }, (_unused, at) => `${String(at)} and more`);
  const held: Constraint = { kind: "choice", text: JSON.stringify(choices) };
  const { tokens, isWhole } = walk(new GrammarTexts(code), held, tiny, options(5));
  expect([isWhole, choices.includes(tokenizer.decode(tokens))]).toEqual([true, true]);
});

test.each<[string, Constraint, RegExp]>([
  [
    "an object of many properties",
    schema({
      properties: { a: { properties: Object.fromEntries(Array.from({ length: 1001 }, (_unused, at) => [`p${String(at)}`, {}])) } },
    }),
    /'properties\.a\.properties' may have 1000 properties; it has 1001/,
  ],
  ["a grammar without an end", { kind: "lark", text: 'start: "a" start' }, /no text fits|cannot be held to/],
  ["overlapping parts of oneOf", schema({ oneOf: [{ type: "integer" }, { type: "number" }] }), /oneOf constraints are not supported\.$/],
  ["a multiple of a large prime", schema({ type: "integer", multipleOf: 999_999_937 }), /fuel/],
  [
    "deep references",
    schema({
      $ref: "#/$defs/d0",
      $defs: Object.fromEntries(
        Array.from({ length: 700 }, (_unused, at) => [`d${String(at)}`, { items: { $ref: `#/$defs/d${String(at + 1)}` } }]),
      ),
    }),
    /cannot be held to/,
  ],
  [
    "many rules",
    { kind: "lark", text: `start: r0\n${Array.from({ length: 260 }, (_unused, at) => `r${String(at)}: "a"`).join("\n")}` },
    /250 rules/,
  ],
  [
    "a schema in a grammar that multiplies",
    {
      kind: "lark",
      text: `start: "a" %json ${JSON.stringify({ allOf: Array.from({ length: 20 }, (_unused, at) => ({ anyOf: [{ minimum: at }, { maximum: 0 }] })) })} "b"`,
    },
    /combined in more than 512 ways/,
  ],
  [
    "options of the library in a grammar's schema",
    { kind: "lark", text: 'start: %json {"x-guidance": {"lenient": true}, "not": {}}' },
    /'x-guidance' is not supported/,
  ],
  ["a token behind a grammar's schema", { kind: "lark", text: 'start: %json {"const": "}"} <|im_end|>' }, /cannot be named/],
  [
    "parts that multiply by references",
    schema({
      $ref: "#/$defs/a0",
      $defs: Object.fromEntries(
        Array.from({ length: 12 }, (_unused, at) => [
          `a${String(at)}`,
          at === 11
            ? { anyOf: [{ minimum: 1 }, { maximum: 0 }] }
            : { allOf: [{ $ref: `#/$defs/a${String(at + 1)}` }, { $ref: `#/$defs/a${String(at + 1)}` }] },
        ]),
      ),
    }),
    /combined in more than 512 ways/,
  ],
])("refused by name: %s", (_name, constraint, message) => {
  expect(() => new GrammarTexts(code).check(constraint)).toThrow(message);
});
