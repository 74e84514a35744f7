/**
 * Whether texts of a grammar can be gone on with to their end: before an answer begins, some are written by chance, byte by byte. The library takes
 * grammars whose next token it can't tell after a while (repeats within repeats, rules that begin and end with themselves), and an answer would break off.
 */
import type { Constraint, ConstraintKind, GrammarStep } from "../contracts/constraint.ts";
import { parseExact } from "../encoding/exact-json.ts";
import { ofWork } from "./failures.ts";
import { schemasIn } from "./lark-limits.ts";
import { GrammarExhaustion, GrammarRefusal, type WasmGrammar } from "./wasm-grammar.ts";

/** The number of the tokenizer of bytes in the instance that tries; the library's bounds are lower for it. */
export const tried = 0;

/** Bytes of each text. What takes the library more work with each of them has shown it by then. */
const mostBytes = 256;
/** Of the library's work: it takes some 10,000 for a byte, up to twenty times that where a pattern is large. */
const mostWork = { first: 4_000_000, byte: 500_000, all: 60_000_000 } as const;
/** On top of it for each character of a schema: what is forced at first, where that is no pattern, and what an object has of properties. */
const moreWork = { first: 500, byte: 500 } as const;
const bytesOf = (letters: string): ReadonlySet<number> => new Set(Array.from(letters, (letter) => letter.charCodeAt(0)));
/** What values of JSON end with. */
const closing = bytesOf('"}],');
/** What stands between parts of most other texts. */
const between = bytesOf(" !#$%&'()*+,-./:;<=>?@[\\]^_`{|}~");
/**
 * How each text is written: with the byte that it has for as long as it may, by which repeats show themselves; or with any, those so often that end
 * a part of it, as a text that goes on to its next part shows more of its grammar.
 */
const ways = ["staying", 0.2, 0.8] as const;
/** What of a small schema may be a pattern, or read in more than one way. */
const ofTrial = /"(pattern|patternProperties|format|anyOf|oneOf|allOf)"/;
const smallSchema = 4096;

/** @throws GrammarRefusal, GrammarTrap, GrammarExhaustion where it can't be held to. */
export function tryOut(grammar: WasmGrammar, constraint: Constraint): void {
  const left = { work: mostWork.all };
  tryOne(grammar, constraint, left);
  // Chance doesn't come by all schemas of a grammar, as those of functions that may be called, nor by all patterns of a schema.
  const { kind, text } = constraint;
  const schemas = kind === "lark" ? schemasIn(text) : kind === "json_schema" ? [text] : [];
  const parts = kind === "lark" ? schemas.filter((schema) => !isSimple({ kind: "json_schema", text: schema })) : [];
  const patterns = new Set(schemas.filter((schema) => schema.includes('"pattern')).flatMap((schema) => patternsIn(parseExact(schema))));
  for (const pattern of patterns) parts.push(JSON.stringify({ type: "string", pattern }));
  for (const part of parts) tryOne(grammar, { kind: "json_schema", text: part }, left);
}

/** Of a schema, wherever they stand in it. */
function patternsIn(schema: unknown): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([name, value]: [string, unknown]) => [
    ...(name === "pattern" && typeof value === "string" ? [value] : []),
    ...(name === "patternProperties" && typeof value === "object" && value !== null ? Object.keys(value) : []),
    ...patternsIn(value),
  ]);
}

function tryOne(grammar: WasmGrammar, constraint: Constraint, left: { work: number }): void {
  const { handle, step } = begun(grammar, constraint);
  if (!isSimple(constraint)) new Trial(grammar, handle, step, constraint, left).run();
  grammar.close(handle);
}

/** That it can be compiled, and begun. @throws as {@link tryOut}. */
export function begin(grammar: WasmGrammar, constraint: Constraint): void {
  grammar.close(begun(grammar, constraint).handle);
}

function begun(grammar: WasmGrammar, constraint: Constraint): { readonly handle: number; readonly step: GrammarStep } {
  const { kind, text } = constraint;
  const handle = grammar.open(tried, constraint);
  const forced = kind === "json_schema" && !text.includes('"pattern') ? text.length : 0;
  return { handle, step: stepOf(grammar, handle, [], { work: mostWork.first + moreWork.first * forced, written: 0, kind }) };
}

const isSimple = ({ kind, text }: Constraint): boolean =>
  kind === "json_object" || kind === "choice" || (kind === "json_schema" && text.length <= smallSchema && !ofTrial.test(text));

class Trial {
  readonly #grammar: WasmGrammar;
  readonly #handle: number;
  readonly #first: GrammarStep;
  readonly #kind: ConstraintKind;
  readonly #mostOfByte: number;
  readonly #left: { work: number };

  constructor(grammar: WasmGrammar, handle: number, first: GrammarStep, { kind, text }: Constraint, left: { work: number }) {
    this.#grammar = grammar;
    this.#handle = handle;
    this.#first = first;
    this.#left = left;
    this.#kind = kind;
    this.#mostOfByte = mostWork.byte + (kind === "json_schema" ? moreWork.byte * text.length : 0);
  }

  run(): void {
    for (const way of ways) {
      const chance = chanceOf(7);
      // A text of no bytes counts as one of one. Where each byte takes much, what there is of work ends the trial.
      for (let bytes = 0; bytes < mostBytes && this.#left.work >= 0; bytes += 1)
        bytes += this.#write(bytes, (mask, last) => chosen(mask, last, way, chance));
    }
  }

  /** One text, up to its end or to the last byte. @returns its bytes. */
  #write(before: number, choose: (mask: Uint8Array, last: number | undefined) => number | undefined): number {
    let step = this.#first;
    let taken = 0;
    for (let last: number | undefined; ; taken += 1) {
      const bytes = before + taken;
      last = step.mask === null || bytes >= mostBytes || this.#left.work < 0 ? undefined : choose(step.mask, last);
      if (last === undefined) break;
      step = stepOf(this.#grammar, this.#handle, [last], { work: this.#mostOfByte, written: bytes, kind: this.#kind });
      taken += step.forced.length;
      this.#left.work -= this.#grammar.workTaken;
    }
    this.#grammar.rollback(this.#handle, taken);
    return taken;
  }
}

function stepOf(grammar: WasmGrammar, handle: number, tokens: readonly number[], bound: Bound): GrammarStep {
  try {
    return grammar.accept(handle, Uint32Array.from(tokens), bound.work);
  } catch (cause) {
    const isOfWork = cause instanceof GrammarExhaustion || (cause instanceof GrammarRefusal && ofWork.test(cause.message));
    throw isOfWork ? new GrammarRefusal(tooMuch(bound), { cause }) : cause;
  }
}

interface Bound {
  readonly work: number;
  /** Bytes that there are already. */
  readonly written: number;
  readonly kind: ConstraintKind;
}

function tooMuch({ written, kind }: Bound): string {
  const what = written === 0 ? "a text of it may begin with" : `may follow ${String(written)} bytes of a text`;
  const reason =
    kind === "json_schema"
      ? "many properties that may be left out, or patterns with repeats"
      : "repeats within or beside repeats, or a rule that both begins and ends with itself";
  return `what ${what} takes too much work to tell, as with ${reason}`;
}

/** Undefined where the text ends. */
function chosen(mask: Uint8Array, last: number | undefined, way: (typeof ways)[number], chance: () => number): number | undefined {
  const isAllowed = (byte: number) => (((mask[byte >> 3] ?? 0) >> (byte & 7)) & 1) === 1;
  const allowed = Array.from({ length: 256 }, (_unused, byte) => byte).filter(isAllowed);
  const any = (bytes: readonly number[]) => bytes[Math.floor(chance() * bytes.length)];
  if (way === "staying") {
    const open = allowed.filter((byte) => !closing.has(byte));
    return last !== undefined && open.includes(last) ? last : (any(open) ?? any(allowed));
  }
  const preferred = [closing, between].map((letters) => allowed.filter((byte) => letters.has(byte)));
  return any(preferred.find((bytes) => bytes.length > 0 && chance() < way) ?? allowed);
}

/** In [0, 1), the same each time (Mulberry32): a grammar that is taken today is taken tomorrow. */
function chanceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
