/** What a model makes of a state: how well it tells the text that follows, and what it would say itself. */
import type { Engine } from "../../../wasm/pkg/relaxed/spikingbrain.js";
import { greedyParameters } from "../../../workers/contracts/engine.ts";

const parameters = JSON.stringify(greedyParameters);
/** Rows of logits that are in memory together. */
const rowsAtOnce = 32;

/** A state file of the text, in every mode; the work of reading it is done once. */
export function filesOf(engine: Engine, text: Uint32Array, modes: readonly string[]): Uint8Array[] {
  const sequence = engine.open(parameters);
  engine.feed(sequence, text);
  engine.step(Uint32Array.of(sequence, text.length));
  const files = modes.map((mode) => {
    const length = engine.beginSave(sequence, 0, mode);
    const file = engine.readSaved(sequence, length);
    engine.endSave(sequence);
    return file;
  });
  engine.close(sequence);
  return files;
}

export interface Continuation {
  /** Of the text's tokens, from the second on. */
  readonly perplexity: number;
  /** The likeliest token after each of the text's. */
  readonly likeliest: readonly number[];
  /** What it says by itself, token by token, after the first of the text. */
  readonly greedy: readonly number[];
}

/** From a state: the text that follows it, and so many tokens of its own. */
export function continuationOf(engine: Engine, file: Uint8Array, text: Uint32Array, greedyTokens: number): Continuation {
  const sequence = restored(engine, file);
  engine.feed(sequence, text);
  const likeliest: number[] = [];
  let surprise = 0;
  for (let read = 0; read < text.length; read += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, text.length - read);
    const rows = engine.readLogits(sequence, count);
    const width = rows.length / count;
    for (let row = 0; row < count; row += 1) {
      const logits = rows.subarray(row * width, (row + 1) * width);
      const best = logits.reduce((held, logit, id) => (logit > (logits[held] ?? -Infinity) ? id : held), 0);
      likeliest.push(best);
      const next = text[read + row + 1];
      if (next !== undefined) surprise -= logProbability(logits, next, logits[best] ?? NaN);
    }
  }
  engine.close(sequence);
  return {
    perplexity: Math.exp(surprise / (text.length - 1)),
    likeliest,
    greedy: greedily(engine, file, text.subarray(0, 1), greedyTokens),
  };
}

/** Share of places at which two lists have the same. */
export function agreement(found: readonly number[], expected: readonly number[]): number {
  return found.filter((value, at) => value === expected[at]).length / expected.length;
}

/** How many places from the beginning two lists have the same. */
export function commonStart(found: readonly number[], expected: readonly number[]): number {
  const at = found.findIndex((value, index) => value !== expected[index]);
  return at < 0 ? found.length : at;
}

function greedily(engine: Engine, file: Uint8Array, first: Uint32Array, count: number): number[] {
  const sequence = restored(engine, file);
  engine.feed(sequence, first);
  const tokens = Array.from({ length: count }, () => {
    engine.step(Uint32Array.of(sequence, engine.pending(sequence)));
    return (JSON.parse(engine.sample(sequence)) as { readonly id: number }).id;
  });
  engine.close(sequence);
  return tokens;
}

function restored(engine: Engine, file: Uint8Array): number {
  const sequence = engine.open(parameters);
  engine.beginRestore(sequence, new Uint32Array());
  engine.pushState(sequence, file);
  engine.endRestore(sequence);
  return sequence;
}

function logProbability(logits: Float32Array, id: number, largest: number): number {
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
  return (logits[id] ?? NaN) - largest - Math.log(total);
}
