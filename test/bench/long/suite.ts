/** What the length of a text costs: our engine with a state of constant size, and llama.cpp with a softmax model of the same size. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { locateModel } from "../../../infra/local/models/source.ts";
import { cacheDirectory, inRepository } from "../../../infra/local/paths.ts";
import { setupPython, venvPython } from "../../../infra/local/python/setup-python.ts";
import { run as runProgram } from "../../../infra/local/run.ts";
import { startProcess } from "../engine/child-participant.ts";
import { compare, SeriesCollector, type Comparison, type Floor, type SuiteResult } from "../report/result.ts";
import { median } from "../report/statistics.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { fitLine, timeToFirstToken, type Line } from "./fit.ts";
import type { DeepMeasurement, DeepTask } from "./task.ts";

const k = 1_024;
const linear = "SpikingBrain's form, 1B";
const softmax = "llama.cpp, softmax 1B";
const flash = "llama.cpp, softmax 1B, flash attention";
const builtIn = "built-in model";

/** Tokens that fill every window: whole pages, as moved states must be. */
const warmTokens = { [linear]: 4_128, [builtIn]: k } as const;

/** Behind which texts each program is measured; one token is decoded where it takes seconds. */
const tasks: Readonly<Record<string, readonly DeepTask[]>> = {
  [builtIn]: [k, 8 * k, 256 * k, k * k].map((depth) => ({ depth, prefill: 128, decode: 32 })),
  [linear]: [8 * k, 64 * k, 128 * k, 256 * k, k * k, 4 * k * k].map((depth) => ({ depth, prefill: 128, decode: 16 })),
  [softmax]: [
    { depth: 0, prefill: 128, decode: 8 },
    { depth: 8 * k, prefill: 128, decode: 8 },
    { depth: 16 * k, prefill: 128, decode: 4 },
    { depth: 64 * k, prefill: 64, decode: 4 },
    { depth: 128 * k, prefill: 32, decode: 2 },
    { depth: 256 * k, prefill: 16, decode: 2 },
  ],
  [flash]: [{ depth: 16 * k, prefill: 128, decode: 4 }],
};

/** The paper's figure 7, and its table of times to the first token. */
const decodeFloors = [
  [64 * k, 4.04],
  [128 * k, 7.52],
  [256 * k, 15.39],
] as const;
const firstTokenFloors = [
  [256 * k, 7.3],
  [k * k, 26.5],
  [4 * k * k, 104],
] as const;

const notes = [
  "Behind means: after a text of so many tokens, which was not read. The state of a short text is put in its place: ours with another count of tokens, which is all that differs in a state of constant size; llama.cpp's with the keys and values of 256 tokens repeated. What comes out is no answer; what it takes is what a real text takes, because nothing that is done depends on what the numbers are.",
  "All ratios are of processor time on one thread, least of all rounds.",
  "Time to the first token is not measured as a whole: it is the sum, over the text, of the seconds that a token takes in prefill, measured at these depths and fitted by a line (llama.cpp, whose time grows with what lies before) or their mean (ours). Beyond 256k tokens the line is an extrapolation.",
  "Both models are random, in Q4_0, with the sizes of Llama-3.2-1B (test/bench/llama/one_billion.py): ours alternates linear attention and a window of 4,097 tokens, as SpikingBrain-7B does.",
];

async function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  await setupPython("bench");
  const folder = join(cacheDirectory(), "long");
  progress("writing two models of 0.7 GB, unless they are there …");
  const { status } = await runProgram(venvPython, [inRepository("test/bench/llama/one_billion.py"), folder], {
    env: { PYTHONPATH: inRepository("gpu-backend") },
  });
  if (status !== 0) throw new Error(`test/bench/llama/one_billion.py failed with status ${String(status)}.`);
  const { path: small } = await locateModel();
  const scratch = mkdtempSync(join(folder, "states-"));
  const longest = Math.max(...(tasks[softmax] ?? []).map(({ depth }) => depth));
  const engine = (name: keyof typeof warmTokens, model: string) => ({
    name,
    command: process.execPath,
    args: [inRepository("test/bench/long/engine-deep-child.ts"), "relaxed", model, String(warmTokens[name])],
  });
  const llama = (name: string, longestText: number, flashAttention: "on" | "off") => ({
    name,
    command: venvPython,
    args: [inRepository("test/bench/llama/deep_child.py"), join(folder, "softmax-1b.gguf"), scratch, String(longestText), flashAttention],
  });
  const programs = [
    engine(builtIn, small),
    engine(linear, join(folder, "linear-1b.gguf")),
    llama(softmax, longest, "off"),
    llama(flash, 16 * k, "on"),
  ];
  const collector = new SeriesCollector();
  const described: string[] = [];
  try {
    // One program after another: the caches of all together would not fit this memory.
    for (const program of programs) {
      const child = await startProcess<{ readonly description: string }, DeepTask, DeepMeasurement>(program);
      described.push(`${program.name}: ${child.greeting.description}.`);
      try {
        for (let round = 0; round < rounds; round += 1)
          for (const task of tasks[program.name] ?? []) {
            const measured = await child.ask(task);
            add(collector, program.name, task, measured);
            progress(`round ${round + 1}, ${program.name}, behind ${task.depth} tokens: ${JSON.stringify(measured)}`);
          }
      } finally {
        await child.close();
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return {
    settings: { rounds },
    notes: [...described, ...notes],
    series: collector.all(),
    comparisons: comparisonsOf(collector),
    floors: floorsOf(collector),
  };
}

const settingOf = (depth: number): string => `behind ${depth} tokens`;
const figures = {
  prefill: "prefill, a token, processor time",
  decode: "decode, a token, processor time",
  memory: "linear memory",
} as const;

function add(collector: SeriesCollector, program: string, { depth, prefill, decode }: DeepTask, measured: DeepMeasurement): void {
  collector.add(settingOf(depth), figures.prefill, "ms", program, (measured.prefillProcessorSeconds / prefill) * 1000);
  collector.add(settingOf(depth), figures.decode, "ms", program, (measured.decodeProcessorSeconds / decode) * 1000);
  if (measured.memoryBytes !== undefined) collector.add(settingOf(depth), figures.memory, "bytes", program, measured.memoryBytes);
}

function comparisonsOf(collector: SeriesCollector): Comparison[] {
  return collector.all().flatMap((one) => {
    const baseline = one.program === linear ? collector.find(one.setting, one.figure, softmax) : undefined;
    return baseline === undefined ? [] : [compare(one, baseline, "ratio")];
  });
}

/** Ratios of which more is better: llama.cpp over ours, and ours behind little over behind much. */
function floorsOf(collector: SeriesCollector): Floor[] {
  const least = (program: string, depth: number, figure: string) =>
    Math.min(...(collector.find(settingOf(depth), figure, program)?.values ?? []));
  const line = (program: string): Line =>
    fitLine((tasks[program] ?? []).map(({ depth }) => ({ x: depth, y: least(program, depth, figures.prefill) })));
  const [theirs, theirOwn] = [line(softmax), (tasks[linear] ?? []).map(({ depth }) => least(linear, depth, figures.prefill))];
  const flat: Line = { at: median(theirOwn), slope: 0 };
  const growth = (program: string, figure: string, from: number, to: number) => least(program, from, figure) / least(program, to, figure);
  return [
    ...decodeFloors.map(([depth, required]) => ({
      name: `decode behind ${depth} tokens, time of ${softmax} / ours`,
      required,
      measured: least(softmax, depth, figures.decode) / least(linear, depth, figures.decode),
    })),
    ...firstTokenFloors.map(([tokens, required]) => ({
      name: `first token of ${tokens}, time of ${softmax} (fitted) / ours`,
      required,
      measured: timeToFirstToken(theirs, tokens) / timeToFirstToken(flat, tokens),
    })),
    {
      name: "built-in model, decode: time behind 1k / behind 256k",
      required: 1 / 1.05,
      measured: growth(builtIn, figures.decode, k, 256 * k),
    },
    {
      name: "built-in model, prefill: time behind 8k / behind 1M",
      required: 1 / 1.1,
      measured: growth(builtIn, figures.prefill, 8 * k, k * k),
    },
    { name: "built-in model, memory: behind 8k / behind 1M", required: 1 / 1.01, measured: growth(builtIn, figures.memory, 8 * k, k * k) },
    { name: "1B, prefill: time behind 8k / behind 4M", required: 1 / 1.1, measured: growth(linear, figures.prefill, 8 * k, 4 * k * k) },
  ];
}

export const longSuite: Suite = {
  name: "long",
  description: "what the length of a text costs, to 4M tokens, beside llama.cpp with a softmax model",
  defaultRounds: 2,
  run,
};
