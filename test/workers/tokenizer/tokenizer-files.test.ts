/** Every field of a tokenizer's files is honoured as Hugging Face `tokenizers` does or refused by name; the Python reader has the same verdicts. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { bytesToAlphabet } from "../../../workers/tokenizer/byte-alphabet.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";

interface Case {
  readonly name: string;
  /** By path into the file; `without` is a byte to leave out of the vocabulary. */
  readonly set: Readonly<Record<string, unknown>>;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly message?: string;
  readonly first?: number | null;
  readonly ids?: readonly (readonly number[])[];
  readonly withSpecial?: readonly (readonly number[])[];
  readonly decoded?: readonly string[];
}

interface Table {
  readonly texts: readonly string[];
  readonly file: Readonly<Record<string, unknown>> & { readonly model: { readonly merges: readonly string[] } };
  readonly settings: Readonly<Record<string, unknown>>;
  readonly cases: readonly Case[];
}

const path = fileURLToPath(new URL("../../fixtures/tokenizer-files.json", import.meta.url));
const table = JSON.parse(readFileSync(path, "utf8")) as Table;
const alphabet = Array.from(bytesToAlphabet(Uint8Array.from({ length: 256 }, (_, byte) => byte))).sort();

/** A case's tokenizer.json: the table's, with the byte alphabet and the merged words as its vocabulary, and with what the case sets. */
function fileOf({ set: { without, ...changes } }: Case): Record<string, unknown> {
  const file = structuredClone(table.file) as Record<string, unknown> & { model: Record<string, unknown> };
  const words = [...alphabet, ...table.file.model.merges.map((merge) => merge.replace(" ", ""))];
  file.model.vocab = Object.fromEntries(words.map((word, id) => [word, id] as const).filter(([word]) => word !== without));
  for (const [way, value] of Object.entries(changes)) {
    const steps = way.split(".");
    const last = steps.pop() ?? "";
    const place = steps.reduce<Record<string, unknown>>((at, step) => at[step] as Record<string, unknown>, file);
    place[last] = value;
  }
  return file;
}

const read = (one: Case): Tokenizer => Tokenizer.fromHuggingFace(fileOf(one), { ...table.settings, ...one.settings });

describe("what is served is what tokenizers makes", () => {
  test.each(table.cases.filter(({ ids }) => ids !== undefined))("$name", (one) => {
    const tokenizer = read(one);
    expect(table.texts.map((text) => Array.from(tokenizer.encode(text)))).toEqual(one.ids);
    expect(table.texts.map((text) => Array.from(tokenizer.encodeWithSpecial(text)))).toEqual(one.withSpecial);
    expect(one.withSpecial?.map((ids) => tokenizer.decode(ids))).toEqual(one.decoded);
    expect(tokenizer.addBosToken ? tokenizer.bosTokenId : null).toBe(one.first);
  });
});

describe("what is not served is refused by name", () => {
  test.each(table.cases.filter(({ message }) => message !== undefined))("$name", (one) => {
    expect(() => read(one)).toThrow(expect.objectContaining({ message: one.message }) as Error);
  });
});
