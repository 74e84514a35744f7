/**
 * What spikes cost the engine, and what counting them adds: one process, one build, sequences that alternate token by token, and pass by pass
 * where they read a prompt. And what passing over silent inputs could gain at the most: reading the columns of those that fire, beside reading all.
 */
import { locateModel } from "../../../infra/local/models/source.ts";
import { loadEngine } from "../../../infra/node/engine-package.ts";
import { greedyParameters } from "../../../workers/contracts/engine.ts";
import type { SpikeCounts, SpikingMode } from "../../../workers/contracts/spikes.ts";
import type { Engine } from "../../../workers/engine/engine-surface.ts";
import { preparedTokenizer, promptOf } from "../engine/prompt.ts";
import { compare, SeriesCollector, type SuiteResult } from "../report/result.ts";
import { median } from "../report/statistics.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { timed } from "../timed.ts";
import { alternately } from "../alternately.ts";
import { prefillAlternately } from "./prefill.ts";
import { secondsOfColumns } from "./bare-columns.ts";

const contextTokens = 128;
const promptTokens = [128, 512] as const;
const decodedTokens = 48;
/** The whole linear memory, for two engines on one set of weights each. */
const memoryLimitBytes = 2 ** 30;
/** Counting may cost a decoded token three hundredths of its time, and firing as much more than rounding, of a prompt's tokens too. */
const leastRatio = 0.97;
/** Shares of inputs that fire: all, what the built-in model and its sparser forms have, and what a target was set for. */
const shares = [1, 0.85, 0.5, 0.31, 0.18] as const;
/** Columns of weights of 4 bits: of the built-in model's widest matrix, and of the 7B's. */
const columnBytes = [768, 9_472] as const;
const matrixBytes = 96e6;
const readingName = (share: number): string => (share === 1 ? "all columns" : `columns that fire, ${String(Math.round(100 * share))} %`);
const readingSetting = (bytes: number): string => `columns of ${String(bytes)} bytes from memory, read and added up`;

const silent = "no spikes";
const spiking = "spikes, mode paper";
const counting = "spikes, counted";
const settingOf = (tokens: number): string => `${String(tokens)} tokens of context`;
const setting = settingOf(contextTokens);
const figure = "decode";

interface Runner {
  readonly name: string;
  readonly engine: Engine;
  readonly counts: boolean;
}

async function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  const { path } = await locateModel();
  const load = (spikes: SpikingMode) => loadEngine(path, { package: "relaxed", kvType: "int8", memoryLimitBytes, spikes });
  const [off, paper] = [await load("off"), await load("paper")];
  const runners: readonly Runner[] = [
    { name: silent, engine: off, counts: false },
    { name: spiking, engine: paper, counts: false },
    { name: counting, engine: paper, counts: true },
  ];
  const tokenizer = preparedTokenizer();
  const prompts = promptTokens.map((tokens) => Uint32Array.from(promptOf(tokenizer, tokens)));
  const prompt = Uint32Array.from(promptOf(tokenizer, contextTokens));
  const readers = runners.filter(({ counts: isCounted }) => !isCounted);
  decodeAlternately(runners, prompt);
  for (const tokens of prompts) prefillAlternately(readers, tokens, 0);
  const collector = new SeriesCollector();
  let counts: SpikeCounts | undefined;
  for (let round = 0; round < rounds; round += 1) {
    const { seconds, spikes } = decodeAlternately(runners, prompt);
    counts = spikes;
    for (const { name } of runners)
      collector.add(setting, figure, "tokens/s of processor", name, decodedTokens / (seconds.get(name) ?? NaN));
    for (const tokens of prompts) {
      const read = prefillAlternately(readers, tokens, round);
      for (const { name } of readers)
        collector.add(settingOf(tokens.length), "prefill", "tokens/s of processor", name, tokens.length / (read.get(name) ?? NaN));
    }
    for (const bytes of columnBytes)
      for (const [index, seconds] of secondsOfColumns(matrixBytes, bytes, shares).entries())
        collector.add(readingSetting(bytes), "reading", "GB/s of the whole", readingName(shares[index] ?? 1), matrixBytes / seconds / 1e9);
    progress(`round ${round + 1} of ${rounds}`);
  }
  const of = (name: string, where = setting, what = figure) => {
    const series = collector.find(where, what, name);
    if (series === undefined) throw new Error(`${name} was not measured`);
    return series;
  };
  const cost = compare(of(counting), of(spiking), "ratio");
  const firing = compare(of(spiking), of(silent), "ratio");
  const reading = promptTokens.map((tokens) => {
    const read = (name: string) => of(name, settingOf(tokens), "prefill");
    return { tokens, comparison: compare(read(spiking), read(silent), "ratio") };
  });
  const readings = columnBytes.flatMap((bytes) => {
    const found = (share: number) => collector.find(readingSetting(bytes), "reading", readingName(share));
    const all = found(1);
    return shares.slice(1).flatMap((share) => {
      const some = found(share);
      return all === undefined || some === undefined ? [] : [compare(some, all, "ratio")];
    });
  });
  return {
    settings: { rounds, "decoded tokens a round": decodedTokens, package: "relaxed" },
    notes: [
      "Every sequence decodes greedily; they alternate token by token, in the opposite order every other time, and processor time counts.",
      "Prompts are read in the engine Worker's steps, and sequences alternate step by step.",
      "Counted: every token's totals are read as JSON, as the engine Worker does for a request with `spikes`.",
      "Reading: whoever passes over silent inputs can be no faster than to read what is left; nothing is computed with it here.",
      ...(counts === undefined ? [] : [sparsity(counts)]),
    ],
    series: collector.all(),
    comparisons: [cost, firing, ...reading.map(({ comparison }) => comparison), ...readings],
    floors: [
      { name: `decode at ${setting}, ${counting} / ${spiking}`, required: leastRatio, measured: median(cost.values) },
      { name: `decode at ${setting}, ${spiking} / ${silent}`, required: leastRatio, measured: median(firing.values) },
      ...reading.map(({ tokens, comparison }) => ({
        name: `prefill at ${settingOf(tokens)}, ${spiking} / ${silent}`,
        required: leastRatio,
        measured: median(comparison.values),
      })),
    ],
  };
}

/** Processor seconds of each runner's tokens, and what the counted sequence has fired. */
function decodeAlternately(
  runners: readonly Runner[],
  prompt: Uint32Array,
): { seconds: Map<string, number>; spikes: SpikeCounts | undefined } {
  const open = runners.map((runner) => {
    const { engine, counts } = runner;
    const options = { ...greedyParameters, countSpikes: counts };
    const sequence = engine.open(JSON.stringify(options));
    engine.feed(sequence, prompt);
    engine.step(Uint32Array.of(sequence, prompt.length));
    return { ...runner, sequence };
  });
  const seconds = new Map<string, number>();
  let spikes: SpikeCounts | undefined;
  for (let token = 0; token < decodedTokens; token += 1) {
    for (const { name, engine, counts, sequence } of alternately(open, token)) {
      const { processor } = timed(() => {
        engine.sample(sequence);
        engine.step(Uint32Array.of(sequence, engine.pending(sequence)));
        if (counts) spikes = JSON.parse(engine.spikeTotals(sequence)) as SpikeCounts;
      });
      seconds.set(name, (seconds.get(name) ?? 0) + processor);
    }
  }
  for (const { engine, sequence } of open) engine.close(sequence);
  return { seconds, spikes };
}

function sparsity({ channels, silent: none, small, spikes, windows }: SpikeCounts): string {
  const share = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)} %`;
  const all = windows.reduce((sum, count) => sum + count, 0);
  return (
    `Of the built-in model's inputs ${share(none, channels)} are silent and ${share(small, channels)} have a count of at most 7; ` +
    `${(spikes / channels).toFixed(2)} spikes an input; ${share(windows[0], all)} of three-step windows are empty.`
  );
}

export const spikesSuite: Suite = {
  name: "spikes",
  description: "decode and prefill with spikes and without, with their counts, and what silent inputs could save",
  defaultRounds: 7,
  run,
};
