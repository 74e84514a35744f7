/** A 7B-like model beside a Qwen2 of the same widths on the same vLLM for CPUs: TTFT, tokens a second, and what a state costs and saves. */
import * as z from "zod";
import { setupVllm, vllmPython } from "../../../infra/local/python/setup-python.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import { capture } from "../../../infra/local/run.ts";
import { alternately } from "../alternately.ts";
import { compare, SeriesCollector, type SuiteResult } from "../report/result.ts";
import { median } from "../report/statistics.ts";
import type { Suite, SuiteOptions } from "../suite.ts";

/** The 7B's layers in small: half of them linear, half with a window; a quarter of its window. */
const settings = {
  ...{ hidden: 256, heads: 4, kvHeads: 2, headDim: 64, layers: 4, inner: 704, vocabulary: 8_192, window: 1_025 },
  ...{ lengths: [2_048, 8_192, 32_768], decoded: 32, batch: 8, stateLengths: [2_048, 8_192], dtype: "bfloat16" },
};
const longest = 32_768;
/** TTFT at the longest length is to be at most a third of the softmax model's, so that the quotient below is at least three. */
const leastSpeedup = 3;
const childTimeoutMilliseconds = 300_000;

const ours = "7B-like";
const softmax = "Qwen2-like";
/** One thread: products are small here, and several threads wait for one another at length wherever a core is shared. */
const environment = {
  ...{ HF_HUB_OFFLINE: "1", TRANSFORMERS_OFFLINE: "1", VLLM_NO_USAGE_STATS: "1", VLLM_LOGGING_LEVEL: "ERROR" },
  ...{ VLLM_ENABLE_V1_MULTIPROCESSING: "0", VLLM_CPU_KVCACHE_SPACE: "4", VLLM_CPU_OMP_THREADS_BIND: "nobind", OMP_NUM_THREADS: "1" },
};

const speedRows = z.array(
  z.union([
    z.object({ tokens: z.number(), ttft: z.number(), decode: z.number() }),
    z.object({ tokens: z.number(), batch: z.number(), throughput: z.number() }),
  ]),
);
const stateRows = z.array(
  z.object({
    ...{ tokens: z.number(), ttft: z.number(), export: z.number(), ttft_from_state: z.number() },
    ...{ bytes: z.number(), cached: z.number() },
  }),
);

async function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  await setupVllm();
  const collector = new SeriesCollector();
  for (let round = 0; round < rounds; round += 1) {
    for (const [kind, program] of alternately([["model", ours] as const, ["softmax", softmax] as const], round)) {
      progress(`round ${round + 1} of ${rounds}: ${program}`);
      for (const row of speedRows.parse(await measure(kind))) addSpeed(collector, program, row);
    }
    progress(`round ${round + 1} of ${rounds}: states`);
    for (const row of stateRows.parse(await measure("states"))) addState(collector, row);
  }
  const comparisons = settings.lengths.flatMap((length) => ["TTFT", "decode"].map((figure) => both(collector, setting(length), figure)));
  const [ttft] = comparisons.filter((one) => one.setting === setting(longest) && one.figure === "TTFT");
  return {
    settings: { rounds, ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])) },
    notes: [
      "Both models have drawn weights, the same widths, heads and layers, and run in the same vllm-cpu without compilation; prompts are read in steps of 2,048 tokens.",
      "TTFT is of one prompt on an idle engine. Decode is one answer's tokens a second after such a prompt; throughput that of eight answers to short prompts.",
      "A state is written when its request ends (export), and a request that starts from one reads one token (TTFT from the state).",
    ],
    series: collector.all(),
    comparisons,
    floors: [
      {
        name: `TTFT at ${setting(longest)}, ${softmax} / ${ours}`,
        required: leastSpeedup,
        measured: median((ttft?.values ?? []).map((ratio) => 1 / ratio)),
      },
    ],
  };
}

async function measure(kind: "model" | "softmax" | "states"): Promise<unknown> {
  const program = inRepository("test/bench/vllm/measure.py");
  // Each round is a process of its own, so that neither model meets what the other has left in memory.
  const { status, output } = await capture(vllmPython, [program, kind, JSON.stringify({ ...settings, rounds: 1 })], {
    env: environment,
    timeout: childTimeoutMilliseconds,
  });
  if (status !== 0) throw new Error(`measure.py ${kind} failed (status ${String(status)})`);
  return JSON.parse(output.split("\n").findLast((line) => line.startsWith("[{")) ?? "");
}

function addSpeed(collector: SeriesCollector, program: string, row: z.infer<typeof speedRows>[number]): void {
  if ("throughput" in row) {
    collector.add(`${row.batch} short prompts at once`, "throughput", "tokens/s", program, row.throughput);
    return;
  }
  collector.add(setting(row.tokens), "TTFT", "s", program, row.ttft);
  collector.add(setting(row.tokens), "decode", "tokens/s", program, row.decode);
}

function addState(collector: SeriesCollector, row: z.infer<typeof stateRows>[number]): void {
  if (row.cached !== row.tokens) throw new Error(`A state of ${row.tokens} tokens spared ${row.cached}.`);
  const place = `a state of ${row.tokens} tokens`;
  collector.add(place, "state file", "MiB", ours, row.bytes / 2 ** 20);
  collector.add(place, "prefill", "s", ours, row.ttft);
  collector.add(place, "export", "s", ours, row.export);
  collector.add(place, "TTFT from the state", "s", ours, row.ttft_from_state);
}

function both(collector: SeriesCollector, place: string, figure: string) {
  const [program, baseline] = [collector.find(place, figure, ours), collector.find(place, figure, softmax)];
  if (program === undefined || baseline === undefined) throw new Error(`${figure} at ${place} was not measured`);
  return compare(program, baseline, "ratio");
}

function setting(tokens: number): string {
  return `${tokens} tokens`;
}

export const vllmSuite: Suite = {
  name: "vllm",
  description: "a 7B-like model beside a Qwen2-like one on vLLM for CPUs, and its states",
  defaultRounds: 2,
  run,
};
