import { describe, expect, test, vi } from "vitest";
import { StreamDecoder } from "../../../workers/tokenizer/stream-decoder.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { bytesToAlphabet } from "../../../workers/tokenizer/byte-alphabet.ts";
import { randomNumbers } from "./random-numbers.ts";

// Only ends a test that hangs, on a machine however busy.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** Ids 0 to 255 are the bytes themselves; 256 is a control token, 257 a token that ends inside a character. */
const byteTokens = Array.from({ length: 256 }, (_, byte) => bytesToAlphabet(Uint8Array.of(byte)));
const tokenizer = Tokenizer.fromTokenizerFile({
  model: "gpt2",
  pre: "gpt-2",
  tokens: [...byteTokens, "<|end|>", bytesToAlphabet(Uint8Array.of(0x61, 0xf0, 0x9f))],
  tokenTypes: [...byteTokens.map(() => 1), 3, 1],
  merges: [],
  bosTokenId: null,
  eosTokenIds: [256],
  addBosToken: false,
  chatTemplate: null,
});

function streamed(ids: readonly number[], skipSpecial = false): { readonly deltas: readonly string[]; readonly rest: string } {
  const decoder = new StreamDecoder(tokenizer, { skipSpecial });
  const deltas = ids.map((id) => decoder.push(id));
  return { deltas, rest: decoder.flush() };
}

const bytesOf = (text: string): number[] => Array.from(new TextEncoder().encode(text));

describe("a stream of tokens", () => {
  test("gives each code point with its last byte and nothing before", () => {
    expect(streamed(bytesOf("aé中😀"))).toEqual({ deltas: ["a", "", "é", "", "", "中", "", "", "", "😀"], rest: "" });
  });

  test("gives the code points of a joined emoji one by one", () => {
    const { deltas } = streamed(bytesOf("👩‍👧"));
    expect(deltas.filter((delta) => delta !== "")).toEqual(["👩", "\u200d", "👧"]);
  });

  test("keeps a byte order mark", () => {
    expect(streamed(bytesOf("\ufeffa\ufeff")).deltas.join("")).toBe("\ufeffa\ufeff");
  });

  test("flushes a cut-off code point as one replacement character, once", () => {
    const decoder = new StreamDecoder(tokenizer);
    expect(decoder.push(257)).toBe("a");
    expect(decoder.flush()).toBe("\ufffd");
    expect(decoder.flush()).toBe("");
  });

  test("does not wait for bytes that cannot complete a character", () => {
    expect(streamed([0xe0, 0x80]).deltas).toEqual(["", "\ufffd\ufffd"]);
    expect(streamed([0xed, 0xa0]).deltas).toEqual(["", "\ufffd\ufffd"]);
    expect(streamed([0xf4, 0x90]).deltas).toEqual(["", "\ufffd\ufffd"]);
    expect(streamed([0xc0]).deltas).toEqual(["\ufffd"]);
    expect(streamed([0xf5]).deltas).toEqual(["\ufffd"]);
  });

  test("leaves control tokens out when asked to, without breaking the character around them", () => {
    expect(streamed([0xc3, 256, 0xa9], true)).toEqual({ deltas: ["", "", "é"], rest: "" });
    expect(streamed([0xc3, 256, 0xa9]).deltas.join("")).toBe("\ufffd<|end|>\ufffd");
  });

  test("refuses an id outside the vocabulary by name", () => {
    expect(() => new StreamDecoder(tokenizer).push(258)).toThrow("token id 258 is not in the vocabulary of 258");
  });

  test("is in all what decoding at once gives, for any bytes", () => {
    const random = randomNumbers(7);
    const leads = [0x61, 0x80, 0xbf, 0xc2, 0xe0, 0xe4, 0xed, 0xf0, 0xf3, 0xf4, 0xff, 0xa0, 0x90, 256, 257];
    for (let round = 0; round < 20_000; round++) {
      const ids = Array.from({ length: random(12) }, () => (random(2) === 0 ? random(258) : (leads[random(leads.length)] ?? 0)));
      for (const skipSpecial of [false, true]) {
        const { deltas, rest } = streamed(ids, skipSpecial);
        expect(deltas.join("") + rest, JSON.stringify(ids)).toBe(tokenizer.decode(ids, { skipSpecial }));
      }
    }
  });

  test("never gives half a surrogate pair", () => {
    const random = randomNumbers(11);
    for (let round = 0; round < 2_000; round++) {
      const text = String.fromCodePoint(...Array.from({ length: 1 + random(6) }, () => random(0xd800) + random(2) * 0x10000));
      for (const delta of streamed(bytesOf(text)).deltas) expect(delta.isWellFormed()).toBe(true);
    }
  });
});
