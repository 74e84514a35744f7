/** Our engine beside llama.cpp, one thread each, on the same file in the same run, taking turns. */
import { locateModel } from "../../../infra/local/model-source.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import { setupPython, venvPython } from "../../../infra/local/setup-python.ts";
import { compare, SeriesCollector, type Comparison, type Floor, type SuiteResult } from "../report/result.ts";
import { median } from "../report/statistics.ts";
import { withStack } from "../stack.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { inTurn } from "../turns.ts";
import { mustBeginAlike, mustBeIdentical } from "./agreement.ts";
import { startChild } from "./child-participant.ts";
import type { Participant } from "./participant.ts";
import { preparedTokenizer, promptOf } from "./prompt.ts";
import { workerParticipant } from "./worker-participant.ts";

/** Tokens. */
const contexts = [128, 1024, 4096];
const decodedTokens = 32;

const ours = "WASM relaxed, Node";
const native = "llama.cpp";
/** Medians of the rounds' ratios to llama.cpp, of issue 3. */
const floors = [
  { figure: "decode", context: 128, required: 0.5 },
  ...contexts.map((context) => ({ figure: "prefill", context, required: 0.3 })),
];

const notes = [
  "Prefill is reading the whole prompt into an empty state; decode is choosing and reading 32 more tokens greedily at that context.",
  "Programs take turns on every context, in the opposite order every other round; a ratio is of two measurements of one round. Processor-time figures count only the time a core worked for the program, so other load on the machine stretches them less.",
  "llama.cpp is compiled for this very processor; WASM has 128-bit vectors everywhere.",
  "The engine Worker's contexts end where its 112 MiB do; its figures are wall time seen by an HTTP client.",
];

async function run(options: SuiteOptions): Promise<SuiteResult> {
  await setupPython("test");
  await setupPython("bench");
  const { path } = await locateModel();
  return await withStack("real", async (url) => {
    const participants: Participant[] = [];
    try {
      for (const kernel of ["relaxed", "simd128"]) {
        const args = [inRepository("test/bench/engine/wasm-child.ts"), kernel, path];
        participants.push(await startChild({ name: `WASM ${kernel}, Node`, command: process.execPath, args }));
      }
      participants.push(await workerParticipant(url));
      for (const [name, kvType] of [[native, "f16"] as const, [`${native}, int8 KV`, "q8_0"] as const]) {
        const args = [inRepository("test/bench/engine/llama_child.py"), path, kvType];
        participants.push(await startChild({ name, command: venvPython, args }));
      }
      return await measure(participants, options);
    } finally {
      await Promise.all(participants.map((participant) => participant.close()));
    }
  });
}

async function measure(participants: readonly Participant[], { rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  const tokenizer = preparedTokenizer();
  const collector = new SeriesCollector();
  const texts: string[] = [];
  // Compilers warm up, and caches fill.
  for (const participant of participants) await participant.measure({ prompt: promptOf(tokenizer, 128), decode: decodedTokens });
  for (let round = 0; round < rounds; round += 1) {
    for (const context of contexts) {
      const setting = settingName(context);
      const able = participants.filter(({ contextLength }) => context + decodedTokens < contextLength);
      const prompt = promptOf(tokenizer, context);
      const continuations = new Map<string, readonly number[]>();
      for (const participant of inTurn(able, round)) {
        const measured = await participant.measure({ prompt, decode: decodedTokens });
        const rate = (figure: string, tokens: number, seconds: number | null): void => {
          if (seconds !== null) collector.add(setting, figure, "tokens/s", participant.name, tokens / seconds);
        };
        rate("prefill", context, measured.prefillSeconds);
        rate("decode", decodedTokens, measured.decodeSeconds);
        rate("prefill, processor time", context, measured.prefillProcessorSeconds);
        rate("decode, processor time", decodedTokens, measured.decodeProcessorSeconds);
        continuations.set(participant.name, measured.tokens);
        const [read, decoded] = [context / measured.prefillSeconds, decodedTokens / measured.decodeSeconds];
        progress(`round ${round + 1}: ${setting}, ${participant.name}: prefill ${read.toFixed(1)}, decode ${decoded.toFixed(1)} tokens/s`);
      }
      const all = [...continuations].map(([program, tokens]) => ({ program, tokens }));
      const [mine] = all.filter(({ program }) => program === ours);
      if (mine === undefined) throw new Error(`${ours} did not take part`);
      mustBeIdentical(all.filter(({ program }) => !program.startsWith(native)));
      for (const theirs of all.filter(({ program }) => program.startsWith(native))) {
        collector.add(setting, `greedy tokens equal to ours, of ${decodedTokens}`, "tokens", theirs.program, mustBeginAlike(mine, theirs));
      }
      if (round === 0) texts.push(`After ${context} tokens ours goes on with ${JSON.stringify(tokenizer.decode(mine.tokens))}.`);
    }
  }
  const comparisons = comparisonsOf(collector);
  return {
    settings: { rounds, "decoded tokens": decodedTokens },
    notes: [...participants.map(({ name, description }) => `${name}: ${description}.`), ...notes, ...texts],
    series: collector.all(),
    comparisons,
    floors: floors.map((floor) => floorOf(floor, comparisons)),
  };
}

const settingName = (context: number): string => `${context} tokens of context`;

function comparisonsOf(collector: SeriesCollector): Comparison[] {
  return collector.all().flatMap((series) => {
    const baseline = series.program === native ? undefined : collector.find(series.setting, series.figure, native);
    return baseline === undefined || series.unit !== "tokens/s" ? [] : [compare(series, baseline, "ratio")];
  });
}

function floorOf({ figure, context, required }: (typeof floors)[number], comparisons: readonly Comparison[]): Floor {
  const setting = settingName(context);
  const comparison = comparisons.find((one) => one.setting === setting && one.figure === figure && one.program === ours);
  if (comparison === undefined) throw new Error(`${figure} at ${setting} was not compared`);
  return { name: `${figure} at ${setting}, ${ours} / ${native}`, required, measured: median(comparison.values) };
}

export const engineSuite: Suite = {
  name: "engine",
  description: "prefill and decode tokens/s at 128, 1,024 and 4,096 tokens of context, beside llama.cpp",
  defaultRounds: 3,
  run,
};
