/** Where a token's time goes, how much of what the processor can do is used, and what several sequences in one pass gain. */
import { locateModel } from "../../../infra/local/models/source.ts";
import { loadEngine } from "../../../infra/node/engine-package.ts";
import { greedyParameters } from "../../../workers/contracts/engine.ts";
import type { Engine, EngineDescription } from "../../../workers/engine/engine-surface.ts";
import { alternately } from "../alternately.ts";
import { preparedTokenizer, promptOf } from "../engine/prompt.ts";
import { compare, SeriesCollector, type Series, type SuiteResult } from "../report/result.ts";
import { median } from "../report/statistics.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { timed } from "../timed.ts";
import { bareWeightsPerSecond } from "./bare-kernel.ts";
import { bareProductsPerSecond } from "./bare-rows.ts";
import { sharesOf } from "./sampled.ts";

const contexts = [128, 1000, 4000] as const;
const streams = [1, 4, 16] as const;
const streamContext = 128;
const decodedTokens = 32;
/** Tokens of a pass. */
const passTokens = 64;
const bareBytes = 100e6;
const memoryLimitBytes = 2 ** 31;
/** Less is not told apart from chance. */
const leastShare = 0.002;

const program = "WASM relaxed, Node";
const bare = "bare kernel";
const streamSetting = `${streamContext} tokens of context, several sequences in one pass`;
const rowsName = (count: number): string => `${count} ${count === 1 ? "row" : "rows"}`;
const streamName = (count: number): string => `${count} ${count === 1 ? "sequence" : "sequences"}`;

async function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  const { path } = await locateModel();
  const engine = await loadEngine(path, { package: "relaxed", kvType: "int8", memoryLimitBytes });
  const { parameters } = JSON.parse(engine.describe()) as EngineDescription;
  const prompt = (tokens: number): Uint32Array => Uint32Array.from(promptOf(preparedTokenizer(), tokens));
  const collector = new SeriesCollector();
  close(engine, [decoded(engine, read(engine, prompt(300)))]);
  for (let round = 0; round < rounds; round += 1) {
    for (const context of contexts) {
      await profile(engine, prompt(context), collector);
      progress(`round ${round + 1} of ${rounds}, ${context} tokens`);
    }
    measureStreams(engine, prompt(streamContext), round, collector);
    const setting = `${streamContext} tokens of context, weights`;
    const one = collector.find(streamSetting, "decode", streamName(1))?.values.at(-1) ?? NaN;
    collector.add(setting, "weights met", "G weights/s of processor", program, (one * parameters) / 1e9);
    collector.add(setting, "weights met", "G weights/s of processor", bare, bareWeightsPerSecond(bareBytes) / 1e9);
    for (const count of streams)
      collector.add(
        "rows that meet weights of 4 bits, bare kernel",
        "products",
        "G products/s of processor",
        rowsName(count),
        bareProductsPerSecond(bareBytes / 2, count) / 1e9,
      );
    progress(`round ${round + 1} of ${rounds}, streams and bare kernels`);
  }
  const found = (figure: string, of: string): Series => {
    const series = collector.all().find((one) => one.figure === figure && one.program === of);
    if (series === undefined) throw new Error(`${figure} of ${of} was not measured`);
    return series;
  };
  const achieved = compare(found("weights met", program), found("weights met", bare), "ratio");
  const gains = streams.slice(1).map((count) => compare(found("decode", streamName(count)), found("decode", streamName(1)), "ratio"));
  const floors = [
    { name: "weights met / bare kernel", required: 0.8, measured: median(achieved.values) },
    { name: `total of 4 sequences / 1`, required: 1.4, measured: median(gains[0]?.values ?? []) },
    { name: `total of 16 sequences / 1`, required: 1.4, measured: median(gains[1]?.values ?? []) },
  ];
  return {
    settings: { rounds, "decoded tokens": decodedTokens, "tokens of a pass": passTokens, package: "relaxed" },
    notes: [
      "Shares are of V8's sampling profiler over the reading of a whole prompt, and over tokens that are decoded after it, greedily.",
      "The bare kernel loads, widens, multiplies and adds every int8 weight of 100 MB once, with nothing else to load; weights met are decoded tokens times the model's parameters.",
      "Products of several rows: weights of 4 bits are unpacked once for four rows, multiplied and summed in integers and nothing else; what rows gain there is the most that sequences in one pass can gain from sharing weights.",
      "Sequences in one pass all get their next token from it, so each has the same share.",
    ],
    series: collector.all(),
    comparisons: [
      achieved,
      ...gains,
      ...streams.slice(1).map((count) => compare(found("products", rowsName(count)), found("products", rowsName(1)), "ratio")),
    ],
    floors,
  };
}

/** Reads a prompt and decodes after it. */
async function profile(engine: Engine, prompt: Uint32Array, collector: SeriesCollector): Promise<void> {
  const setting = `${prompt.length} tokens of context`;
  let sequence = 0;
  let seconds = 0;
  const reading = await sharesOf(() => {
    seconds = timed(() => (sequence = read(engine, prompt))).processor;
  });
  collector.add(setting, "prefill", "ms of processor a token", program, (1000 * seconds) / prompt.length);
  const decoding = await sharesOf(() => {
    seconds = timed(() => decoded(engine, sequence)).processor;
  });
  collector.add(setting, "decode", "ms of processor a token", program, (1000 * seconds) / decodedTokens);
  close(engine, [sequence]);
  for (const [figure, shares] of [["prefill", reading] as const, ["decode", decoding] as const]) {
    for (const [operation, share] of [...shares].toSorted(([, left], [, right]) => right - left)) {
      if (share >= leastShare) collector.add(setting, `${figure}, ${operation}`, "% of the time", program, 100 * share);
    }
  }
}

/** Tokens a second of all sequences together. */
function measureStreams(engine: Engine, prompt: Uint32Array, round: number, collector: SeriesCollector): void {
  const first = read(engine, prompt);
  const all = [first, ...Array.from({ length: Math.max(...streams) - 1 }, () => engine.fork(first))];
  const best = new Map<number, number>();
  for (let turn = 0; turn < decodedTokens; turn += 1) {
    for (const count of alternately(streams, round + turn)) {
      const some = all.slice(0, count);
      const { processor } = timed(() => {
        for (const sequence of some) engine.sample(sequence);
        engine.step(Uint32Array.from(some.flatMap((sequence) => [sequence, 1])));
      });
      best.set(count, Math.min(best.get(count) ?? Infinity, processor));
    }
  }
  for (const count of streams)
    collector.add(streamSetting, "decode", "tokens/s of processor, at best", streamName(count), count / (best.get(count) ?? NaN));
  close(engine, all);
}

function read(engine: Engine, prompt: Uint32Array): number {
  const sequence = engine.open(JSON.stringify(greedyParameters));
  engine.feed(sequence, prompt);
  for (let pending = prompt.length; pending > 0; pending = engine.pending(sequence))
    engine.step(Uint32Array.of(sequence, Math.min(passTokens, pending)));
  return sequence;
}

function decoded(engine: Engine, sequence: number): number {
  for (let count = 0; count < decodedTokens; count += 1) {
    engine.sample(sequence);
    engine.step(Uint32Array.of(sequence, 1));
  }
  return sequence;
}

function close(engine: Engine, sequences: readonly number[]): void {
  for (const sequence of sequences) engine.close(sequence);
}

export const profileSuite: Suite = {
  name: "profile",
  description: "where the engine's time goes, beside a bare kernel, and what several sequences in one pass gain",
  defaultRounds: 3,
  run,
};
