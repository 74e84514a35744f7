/** Token for token what Hugging Face `tokenizers` makes of the same strings, in every family; see parity_cases.py for the strings. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { JsonObject } from "../../../workers/tokenizer/hugging-face-checks.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { runPython } from "../../support/python.ts";
import { preparedTokenizerFile, publishedTokenizerPath, servedTokenizerFile, servedTokenizerPath } from "./served-tokenizer.ts";

// Only ends a test that hangs, on a machine however busy.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

interface Cases {
  readonly strings: readonly string[];
  readonly plain: readonly (readonly number[])[];
  readonly withSpecial: readonly (readonly number[])[];
  readonly decoded: readonly string[];
  readonly decodedSkipped: readonly string[];
}

const minutes = 60_000;
const directory = mkdtempSync(join(tmpdir(), "tokenizer-parity-"));
const readJson = (name: string): unknown => JSON.parse(readFileSync(join(directory, name), "utf8"));

beforeAll(() => {
  runPython("test/workers/tokenizer/parity_cases.py", servedTokenizerPath, publishedTokenizerPath("qwen2.5"), directory);
}, 5 * minutes);

afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe.each([
  { name: "smollm", least: 20_000 },
  { name: "gpt-2", least: 20_000 },
  { name: "qwen2", least: 20_000 },
  { name: "ignore-merges", least: 4_000 },
  { name: "qwen2.5", least: 4_000 },
])("$name", ({ name, least }) => {
  let tokenizer: Tokenizer;
  let cases: Cases;

  beforeAll(() => {
    tokenizer = Tokenizer.fromHuggingFace(readJson(`${name}.tokenizer.json`) as JsonObject);
    cases = readJson(`${name}.cases.json`) as Cases;
    expect(cases.strings.length).toBeGreaterThanOrEqual(least);
  });

  /** The first few differences, which say more than their number. */
  function differences<T>(expected: readonly T[], actual: (text: string, index: number) => T): readonly object[] {
    expect(expected.length).toBe(cases.strings.length);
    const found = cases.strings.map((text, index) => ({
      text: JSON.stringify(text),
      expected: expected[index],
      actual: actual(text, index),
    }));
    return found.filter((entry) => JSON.stringify(entry.expected) !== JSON.stringify(entry.actual)).slice(0, 5);
  }

  test("special tokens in the text as ordinary text", () => {
    expect(differences(cases.plain, (text) => Array.from(tokenizer.encode(text)))).toEqual([]);
  });

  test("special tokens in the text as control tokens", () => {
    expect(differences(cases.withSpecial, (text) => Array.from(tokenizer.encodeWithSpecial(text)))).toEqual([]);
    expect(cases.withSpecial.flat().some((id) => tokenizer.isSpecial(id))).toBe(true);
    expect(cases.plain.flat().some((id) => tokenizer.isSpecial(id))).toBe(false);
  });

  test("decoding", () => {
    const ids = (index: number): readonly number[] => cases.withSpecial[index] ?? [];
    expect(differences(cases.decoded, (_, index) => tokenizer.decode(ids(index)))).toEqual([]);
    expect(differences(cases.decodedSkipped, (_, index) => tokenizer.decode(ids(index), { skipSpecial: true }))).toEqual([]);
  });

  test("every code point in every neighbourhood", () => {
    const texts = readJson("sweep.json") as readonly string[];
    const digests = texts.map((text) =>
      createHash("sha256")
        .update(Uint32Array.from(tokenizer.encode(text)))
        .digest("hex"),
    );
    expect(digests).toEqual(readJson(`${name}.sweep.json`));
  });
});

test.each([
  { name: "smollm", file: servedTokenizerFile },
  { name: "qwen2.5", file: () => preparedTokenizerFile("qwen2.5") },
])(
  "$name: what set-up prepared and the published tokenizer.json give the same ids",
  ({ name, file }) => {
    const prepared = Tokenizer.fromTokenizerFile(file());
    const published = Tokenizer.fromHuggingFace(readJson(`${name}.tokenizer.json`) as JsonObject);
    expect(prepared.vocabularySize).toBeGreaterThanOrEqual(published.vocabularySize);
    expect(prepared.specialTokens).toEqual(published.specialTokens);
    for (const text of (readJson(`${name}.cases.json`) as Cases).strings) {
      expect(prepared.encode(text)).toEqual(published.encode(text));
      expect(prepared.encodeWithSpecial(text)).toEqual(published.encodeWithSpecial(text));
    }
  },
  minutes,
);

test(
  "the committed Unicode tables are what the installed tokenizers package answers",
  () => {
    expect(() => runPython("workers/tokenizer/generate/unicode_classes.py", "--check")).not.toThrow();
  },
  minutes,
);
