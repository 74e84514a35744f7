/** What a state costs by itself, in the engine package under Node: time to save, restore and fork it, and its bytes. */
import { locateModel } from "../../../infra/local/models/source.ts";
import { loadEngine } from "../../../infra/node/engine-package.ts";
import { describeStateFile } from "../../../infra/node/state-file.ts";
import type { Engine } from "../../../wasm/pkg/relaxed/spikingbrain.js";
import { greedyParameters, stateChunkBytes } from "../../../workers/contracts/engine.ts";
import type { ModelManifest } from "../../../workers/contracts/model-files.ts";
import { defaultLimits } from "../../../workers/engine/scheduler-limits.ts";
import { pageTokens } from "../../../workers/state-file/page.ts";
import type { SeriesCollector } from "../report/result.ts";
import { timed, type Timed } from "../timed.ts";
import { equalTokens } from "../engine/agreement.ts";

export const costLengths = [100, 1000, 16_000] as const;
export const turnTokens = 64;
const comparedTokens = 8;
/** Times in one round. */
const timesARound = 3;
/** The whole linear memory. */
const memoryLimitBytes = 2 ** 30;
const program = "engine";

export const costSetting = (tokens: number): string => `a state after ${tokens} tokens`;

export interface CostOptions {
  readonly model: ModelManifest;
  readonly text: readonly number[];
  readonly rounds: number;
  readonly progress: (message: string) => void;
  readonly collector: SeriesCollector;
}

const greedy = JSON.stringify(greedyParameters);

export async function measureCosts(options: CostOptions): Promise<void> {
  const { model, text, progress } = options;
  const { path } = await locateModel();
  const engine = await loadEngine(path, {
    kvType: "int8",
    memoryLimitBytes,
    modelDigest: model.sha256,
    tokenizerDigest: model.tokenizerSha256,
  });
  const sequence = engine.open(greedy);
  let read = 0;
  for (const tokens of costLengths) {
    progress(`costs: reading ${tokens} tokens`);
    feedAndRead(engine, sequence, text.slice(read, tokens));
    read = tokens;
    measureState(engine, sequence, tokens, options);
  }
  engine.close(sequence);
}

function measureState(engine: Engine, sequence: number, tokens: number, { text, rounds, progress, collector }: CostOptions): void {
  const setting = costSetting(tokens);
  const add = (figure: string, { wall, processor }: Timed) => {
    collector.add(setting, figure, "ms", program, wall * 1000);
    collector.add(setting, `${figure}, processor time`, "ms", program, processor * 1000);
  };
  let file: readonly Uint8Array[] = [];
  for (let repetition = 0; repetition < rounds * timesARound; repetition += 1) {
    add(
      "save",
      timed(() => (file = save(engine, sequence, 0))),
    );
    let restored = 0;
    add(
      "restore",
      timed(() => (restored = restore(engine, file))),
    );
    let copy = 0;
    add(
      "fork",
      timed(() => (copy = engine.fork(sequence))),
    );
    if (repetition === 0) mustGoOnAlike(engine, copy, restored, tokens);
    engine.close(restored);
    engine.close(copy);
  }
  const { bytes, headerBytes, headBytes } = describeStateFile(file[0] ?? new Uint8Array(), sum(file));
  const parts = [
    ["file", bytes],
    ["head", headBytes],
    ["pages", bytes - headBytes - headerBytes],
    [`written by a turn of ${turnTokens} tokens`, writtenByTurn(engine, sequence, tokens, text)],
  ] as const;
  for (const [figure, value] of parts) collector.add(setting, figure, "bytes", program, value);
  progress(`${setting}: ${parts.map(([figure, value]) => `${figure} ${value}`).join(", ")} bytes`);
}

/** What a store that has the state gets for a turn more: header, head, and the pages that have changed. */
function writtenByTurn(engine: Engine, sequence: number, tokens: number, text: readonly number[]): number {
  const copy = engine.fork(sequence);
  feedAndRead(engine, copy, text.slice(0, turnTokens));
  const bytes = sum(save(engine, copy, Math.floor(tokens / pageTokens)));
  engine.close(copy);
  return bytes;
}

function save(engine: Engine, sequence: number, fromPage: number): Uint8Array[] {
  engine.beginSave(sequence, fromPage, "{}");
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = engine.readSaved(sequence, stateChunkBytes);
    if (chunk.length === 0) break;
    chunks.push(chunk);
  }
  engine.endSave(sequence);
  return chunks;
}

function restore(engine: Engine, file: readonly Uint8Array[]): number {
  const sequence = engine.open(greedy);
  engine.beginRestore(sequence, new Uint32Array());
  for (const chunk of file) engine.pushState(sequence, chunk);
  engine.endRestore(sequence);
  return sequence;
}

/** Speed of a state that goes on otherwise is worth nothing. */
function mustGoOnAlike(engine: Engine, copy: number, restored: number, tokens: number): void {
  const [left, right] = [copy, restored].map((sequence) => {
    // A state has no logits: both read one more token first.
    feedAndRead(engine, sequence, [0]);
    return Array.from({ length: comparedTokens }, () => {
      const { id } = JSON.parse(engine.sample(sequence)) as { readonly id: number };
      engine.step(Uint32Array.of(sequence, 1));
      return id;
    });
  });
  if (equalTokens(left ?? [], right ?? []) < comparedTokens)
    throw new Error(`After ${tokens} tokens a fork goes on with ${String(left)} and a restored state with ${String(right)}.`);
}

function feedAndRead(engine: Engine, sequence: number, tokens: readonly number[]): void {
  engine.feed(sequence, Uint32Array.from(tokens));
  for (;;) {
    const pending = engine.pending(sequence);
    if (pending === 0) return;
    engine.step(Uint32Array.of(sequence, Math.min(pending, defaultLimits.prefillTokensPerStep)));
  }
}

const sum = (chunks: readonly Uint8Array[]): number => chunks.reduce((bytes, chunk) => bytes + chunk.length, 0);
