/**
 * The WASM engine for the tests of this folder: a JSON task on standard input, its result on standard output. Restores a state file or begins
 * anew, reads tokens, answers, saves the state of all that it has read, and scores what follows.
 */
import { openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { loadEngine } from "../../../infra/node/engine-package.ts";
import { greedyParameters } from "../../../workers/contracts/engine.ts";

interface Task {
  readonly model: string;
  readonly kv: "f32" | "int8";
  readonly restore: string | null;
  readonly tokens: readonly number[];
  /** How they are chosen: what is not greedy. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Tokens to answer; the last of them is not read. */
  readonly answer: number;
  readonly save: string | null;
  /** Tokens that follow, read one by one: the logits after each go to this file, f32. */
  readonly score: { readonly tokens: readonly number[]; readonly file: string } | null;
}

const chunkBytes = 1 << 16;
const task = JSON.parse(readFileSync(0, "utf8")) as Task;
const engine = await loadEngine(task.model, { kvType: task.kv, memoryLimitBytes: 2 ** 30 });
const sequence = engine.open(JSON.stringify({ ...greedyParameters, ...task.parameters }));

let restored = 0;
if (task.restore !== null) {
  const bytes = await readFile(task.restore);
  engine.beginRestore(sequence, new Uint32Array());
  for (let at = 0; at < bytes.length; at += chunkBytes) engine.pushState(sequence, bytes.subarray(at, at + chunkBytes));
  restored = engine.endRestore(sequence);
}
engine.feed(sequence, Uint32Array.from(task.tokens));
const ids: number[] = [];
while (ids.length < task.answer) {
  engine.step(Uint32Array.of(sequence, engine.pending(sequence)));
  ids.push((JSON.parse(engine.sample(sequence)) as { readonly id: number }).id);
}
if (task.answer === 0 && task.tokens.length > 0) engine.step(Uint32Array.of(sequence, engine.pending(sequence)));
if (task.save !== null) {
  const file = openSync(task.save, "w");
  engine.beginSave(sequence, 0, "{}");
  for (let part = engine.readSaved(sequence, chunkBytes); part.length > 0; part = engine.readSaved(sequence, chunkBytes))
    writeSync(file, part);
  engine.endSave(sequence);
}
if (task.score !== null) {
  engine.feed(sequence, Uint32Array.from(task.score.tokens));
  const logits = engine.readLogits(sequence, task.score.tokens.length);
  writeFileSync(task.score.file, new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength));
}
console.log(JSON.stringify({ restored, ids }));
