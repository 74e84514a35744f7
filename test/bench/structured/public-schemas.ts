/**
 * Holds texts to public JSON schemas: instances that are valid are taken, others are not, and what is written by chance fits. The schemas are not part of
 * this repository; the argument is a folder of files `{"schema": …, "tests": [{"valid": true, "data": …}]}`, as MaskBench has them.
 *
 *   node test/bench/structured/public-schemas.ts FOLDER SCHEMAS TEXTS WRITTEN
 *
 * Takes so many schemas, evenly through the folder's names, and writes so many texts to WRITTEN, a line of JSON `{"schema", "text"}` each, for another
 * validator to judge.
 */
import { appendFileSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { inRepository } from "../../../infra/local/paths.ts";
import { ServiceError } from "../../../workers/contracts/errors.ts";
import { GrammarTexts } from "../../../workers/grammar/texts.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { tokensOf } from "../../../workers/grammar/wasm-grammar.ts";
import { accepts, walk } from "../../workers/grammar/walk.ts";
import { seeded } from "../../workers/support/dice.ts";
import { bytesAsTokens, endOfTurn, tinyTokenizer } from "../../workers/support/tiny-tokenizer.ts";
import { preparedTokenizer } from "../engine/prompt.ts";

interface PublicSchema {
  readonly schema: unknown;
  readonly tests?: readonly { readonly valid: boolean; readonly data: unknown }[];
}

const mostTokens = 3000;
const [folder = "", schemas = "500", texts = "1000", written = ""] = process.argv.slice(2);
const { Module } = (globalThis as unknown as { readonly WebAssembly: { readonly Module: new (bytes: Uint8Array) => WebAssembly.Module } })
  .WebAssembly;
const grammar = new GrammarTexts(new Module(readFileSync(inRepository("wasm/pkg/grammar/grammar.wasm"))));
const tokenizer = preparedTokenizer();
const tokens = { digest: "built-in", tokens: () => tokensOf(tokenizer, tokenizer.vocabularySize, tokenizer.eosTokenIds) };
/** What is written is chosen byte by byte: nothing else leaves chance so many ways out of a schema. */
const bytes = Tokenizer.fromTokenizerFile(tinyTokenizer);
const byteTokens = { digest: "bytes", tokens: () => tokensOf(bytes, bytes.vocabularySize, [endOfTurn]) };
const closing = bytesAsTokens('"}],');

const { rawJSON, parse } = JSON as unknown as {
  readonly rawJSON: (text: string) => object;
  readonly parse: (text: string, reviver: (key: string, value: unknown, context: { readonly source: string }) => unknown) => unknown;
};

/** With each number as it stands there: `12345.0` is no integer to everyone, and JavaScript makes one of it. */
const asWritten = (text: string): unknown =>
  parse(text, (_key, value, { source }) => (typeof value === "number" ? rawJSON(source) : value));

/** None where the file is cut off. */
function readOne(name: string): (PublicSchema & { readonly name: string })[] {
  try {
    return [{ name, ...(asWritten(readFileSync(join(folder, name), "utf8")) as PublicSchema) }];
  } catch {
    return [];
  }
}

const read = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .toSorted()
  .flatMap((name) => readOne(name))
  .filter(({ tests = [] }) => tests.some(({ valid }) => valid) && tests.some(({ valid }) => !valid));
const taken = Array.from(
  { length: Math.min(Number(schemas), read.length) },
  (_unused, at) => read[Math.floor((at * read.length) / Number(schemas))],
).flatMap((one) => (one === undefined ? [] : [one]));

const counts = { schemas: taken.length, heldTo: 0, validAccepted: 0, validRefused: 0, invalidAccepted: 0, invalidRefused: 0, unnamed: 0 };
const refusals = new Map<string, number>();
const questionable: string[] = [];
const heldTo: PublicSchema[] = [];
for (const one of taken) {
  const constraint = { kind: "json_schema", text: JSON.stringify(one.schema) } as const;
  try {
    grammar.check(constraint);
  } catch (cause) {
    if (!(cause instanceof ServiceError)) throw cause;
    const reason =
      cause.failure.message
        .replace(/^constraint(\.text)? (cannot be held to: )?/, "")
        .split("\n")[0]
        ?.slice(0, 60) ?? "";
    if (reason === "") counts.unnamed += 1;
    refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
    continue;
  }
  counts.heldTo += 1;
  heldTo.push(one);
  for (const { valid, data } of one.tests ?? []) {
    const isAccepted = accepts(grammar, constraint, tokens, [...tokenizer.encode(JSON.stringify(data))]);
    if (valid) counts[isAccepted ? "validAccepted" : "validRefused"] += 1;
    else counts[isAccepted ? "invalidAccepted" : "invalidRefused"] += 1;
    if (valid !== isAccepted) questionable.push(`${one.name}: ${valid ? "valid, refused" : "invalid, accepted"}`);
  }
}

const chance = { whole: 0, tooLong: 0, stopped: 0, tokens: 0 };
if (written !== "") rmSync(written, { force: true });
for (let seed = 0; chance.whole < Number(texts) && seed < 3 * Number(texts) && heldTo.length > 0; seed += 1) {
  const { schema } = heldTo[seed % heldTo.length] ?? { schema: {} };
  const dice = seeded(seed);
  try {
    const options = { random: () => dice.below(2 ** 30) / 2 ** 30, closing, most: mostTokens };
    const { tokens: ids, isWhole } = walk(grammar, { kind: "json_schema", text: JSON.stringify(schema) }, byteTokens, options);
    if (!isWhole) {
      chance.tooLong += 1;
      continue;
    }
    chance.whole += 1;
    chance.tokens += ids.length;
    if (written !== "") appendFileSync(written, `${JSON.stringify({ schema, text: bytes.decode(ids) })}\n`);
  } catch (cause) {
    if (!(cause instanceof ServiceError)) throw cause;
    chance.stopped += 1;
  }
}
console.log(
  JSON.stringify(
    {
      counts,
      chance,
      instances: grammar.instances,
      refusals: Object.fromEntries([...refusals].sort(([, one], [, other]) => other - one)),
      questionable,
    },
    null,
    1,
  ),
);
