/** Grammars that would hold others up, or break an answer off: refused before it begins, by counted work, which is the same on every machine. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Constraint } from "../../../workers/contracts/constraint.ts";
import { GrammarTexts, type TextTokenizer } from "../../../workers/grammar/texts.ts";
import { byteTokens, GrammarExhaustion, mostWork, tokensOf, WasmGrammar } from "../../../workers/grammar/wasm-grammar.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { seeded } from "../support/dice.ts";
import { bytesAsTokens, endOfTurn, tinyTokenizer } from "../support/tiny-tokenizer.ts";
import { walk } from "./walk.ts";

const { Module } = (globalThis as unknown as { readonly WebAssembly: { readonly Module: new (bytes: Uint8Array) => WebAssembly.Module } })
  .WebAssembly;
const code = new Module(readFileSync("wasm/pkg/grammar/grammar.wasm"));
const tokenizer = Tokenizer.fromTokenizerFile(tinyTokenizer);
const tiny: TextTokenizer = { digest: "tiny", tokens: () => tokensOf(tokenizer, tinyTokenizer.tokens.length, [endOfTurn]) };
const regex = (text: string): Constraint => ({ kind: "regex", text });
const lark = (text: string): Constraint => ({ kind: "lark", text });
const schema = (value: unknown): Constraint => ({ kind: "json_schema", text: JSON.stringify(value) });
const alternatives = Array.from({ length: 40 }, (_unused, at) => ({
  type: "string",
  pattern: `^.*${String.fromCharCode(97 + (at % 26))}.{${String(at)}}$`,
}));

const texts = new GrammarTexts(code);
const follows = /what may follow \d+ bytes of a text takes too much work to tell/;
const begins = /what a text of it may begin with takes too much work to tell/;

test.each<[string, Constraint, RegExp]>([
  ["repeats within repeats", regex("(a{0,1000}){0,1000}"), follows],
  ["fewer of them", regex("(a{0,100}){0,100}"), follows],
  ["repeats that may be left out", regex("(a?){1000}a{1000}"), begins],
  [
    "the same in a schema that is long",
    schema({ description: "x".repeat(60_000), type: "string", pattern: "^(a?){1000}a{1000}$" }),
    /takes too much work to tell/,
  ],
  ["a rule of itself twice", lark('start: e\ne: e e | "x"'), follows],
  ["with another way", lark('start: e\ne: e e | "x" | "y" e'), follows],
  ["three times", lark('start: e\ne: e e e | e e | "x"'), follows],
  ["a rule that begins and ends with itself", lark('start: e\ne: e "+" e | /[0-9]/'), follows],
  ["with longer parts", lark('start: e\ne: e "+" e | /[0-9]+/'), follows],
  ["repeats of a rule that repeats", lark('start: e+\ne: ("x"+)+'), follows],
  ["counted ones", lark('start: a{0,100}\na: b{0,100}\nb: "x" | "y"'), follows],
  ["counted ones in each other", lark('start: ((("x"{0,50}){0,50}){0,50})'), begins],
  ["a rule that may be empty", lark('start: a\na: a a | "" | "x"'), follows],
  ["repeats beside each other", lark('start: a b c d\na: "x"*\nb: "x"*\nc: "x"*\nd: "x"*'), follows],
  ["patterns of one string", schema({ anyOf: alternatives }), follows],
  [
    "an object of a thousand that may be left out",
    schema({ properties: Object.fromEntries(Array.from({ length: 1000 }, (_unused, at) => [`p${String(at)}`, {}])) }),
    /as with many properties that may be left out/,
  ],
])("refused before an answer begins: %s", (_name, constraint, message) => {
  expect(() => {
    texts.check(constraint);
  }).toThrow(message);
});

/** What the tiny tokenizer's texts of a grammar look like after so many tokens, by chance: none breaks off. */
test.each<[string, Constraint]>([
  ["a long pattern", regex("a.{1000}b")],
  ["a number of repeats", regex("(a{0,30}){0,30}")],
  ["many letters", regex("\\p{L}{1,200}")],
  ["words", regex("\\w{500}\\d{500}")],
  ["places after a letter", regex("(.*a.{20}b)")],
  ["a list that ends with itself", lark('start: list\nlist: /[a-z]/ "," list | /[a-z]/')],
  ["operators with an order", lark('start: e\ne: e "+" t | t\nt: t "*" f | f\nf: /[0-9]+/ | "(" e ")"')],
  ["parts that mirror each other", lark('start: s\ns: "a" s "a" | "b" s "b" | "c"')],
  [
    "five hundred optional properties",
    schema({ properties: Object.fromEntries(Array.from({ length: 500 }, (_unused, at) => [`p${String(at)}`, {}])) }),
  ],
  ["an address", schema({ type: "string", format: "uri" })],
])("held to for a long text: %s", (_name, constraint) => {
  texts.check(constraint);
  for (const seed of [1, 2, 3]) {
    const dice = seeded(seed);
    walk(texts, constraint, tiny, { random: () => dice.below(2 ** 30) / 2 ** 30, closing: [], most: 500 });
  }
  expect(texts.count).toBe(0);
});

describe("work", () => {
  const opened = (constraint: Constraint) => {
    const grammar = new WasmGrammar(code, 24 << 20);
    grammar.addTokenizer(1, byteTokens);
    return { grammar, handle: grammar.open(1, constraint) };
  };

  test("is counted: the same call takes the same, and a text that can be read in more ways more with each of its bytes", () => {
    const taken = () => {
      const { grammar, handle } = opened(lark('start: e\ne: e e | "x"'));
      return [40, 40, 40].map((more) => {
        grammar.accept(
          handle,
          Uint32Array.from({ length: more }, () => 120),
        );
        grammar.accept(handle, Uint32Array.of(120));
        return grammar.workTaken;
      });
    };
    const [first = 0, second = 0, third = 0] = taken();
    expect(taken()).toEqual([first, second, third]);
    expect([second / first > 2, third / second > 1.5, third < mostWork.step]).toEqual([true, true, true]);
  });

  test("ends where it is used up: by an error of its own, and the instance is of no use", () => {
    const { grammar, handle } = opened(regex("[ab]{1,200}"));
    const before = grammar.accept(handle, Uint32Array.of(97));
    expect(before.mask).not.toBeNull();
    const needed = grammar.workTaken;
    expect(() => grammar.accept(handle, Uint32Array.of(97), Math.floor(needed / 2))).toThrow(GrammarExhaustion);
    expect(grammar.isTrapped).toBe(true);
    expect(() => grammar.accept(handle, new Uint32Array())).toThrow(/trapped before/);
  });

  test("that one text uses up costs the others a new instance, and nothing else", () => {
    const own = new GrammarTexts(code);
    const quiet = own.open(regex("[a-z]{1,50}"), tiny, Uint32Array.from(bytesAsTokens("ab")));
    // An answer that was asked for elsewhere, with a grammar that is not taken here.
    const hostile = own.open(lark('start: e\ne: e e e | e e | "x"'), tiny, Uint32Array.from(bytesAsTokens("x")));
    let failure: unknown;
    for (let written = 0; written < 400 && failure === undefined; written += 1) {
      try {
        hostile.text.accept(Uint32Array.from(bytesAsTokens("x")));
      } catch (cause) {
        failure = cause;
      }
    }
    expect(failure).toMatchObject({
      failure: { code: "invalid_request", param: "constraint", message: expect.stringMatching(/work/) as string },
    });
    expect(own.instances).toBe(1);
    const next = quiet.text.accept(Uint32Array.from(bytesAsTokens("c")));
    expect([own.instances, next.mayEnd]).toEqual([2, true]);
    hostile.text.close();
    quiet.text.close();
    expect(own.count).toBe(0);
  });
});
