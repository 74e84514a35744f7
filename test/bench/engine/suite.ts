/** Our engine beside llama.cpp, one thread each, on the same file in the same run, alternately. */
import { locateModel } from "../../../infra/local/models/source.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import { setupPython, venvPython } from "../../../infra/local/python/setup-python.ts";
import { compare, SeriesCollector, type Comparison, type Floor, type SuiteResult } from "../report/result.ts";
import { median } from "../report/statistics.ts";
import { withStack } from "../stack.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { alternately } from "../alternately.ts";
import { startChild } from "./child-participant.ts";
import { converted, decodedTokens, native, ours, settingName, type Participant } from "./participant.ts";
import { preparedTokenizer, promptOf } from "./prompt.ts";
import { measureEach } from "./measure-each.ts";
import { measureSideBySide, mostSequences, sequenceCounts, sideBySideFloors } from "./side-by-side.ts";
import { workerParticipant } from "./worker-participant.ts";

/** Short contexts are measured more often in each round: they are quick, and noise weighs more on them. */
const contexts = [
  { tokens: 128, times: 3 },
  { tokens: 512, times: 2 },
  { tokens: 2048, times: 2 },
  { tokens: 4096, times: 1 },
] as const;

/** Where the programs that are not compared first and foremost stop: they take as long as all others together. */
const shortContext = 1024;

/** Its weights are those of the model that llama.cpp reads, and what the conversion added. */
const convertedModel = "spikingbrain-135m";

/** Least medians of our ratios to llama.cpp in processor time, which other load on the machine stretches less. */
const floors = [
  { figure: "prefill", context: 128, program: ours, required: 1.3 },
  { figure: "prefill", context: 512, program: ours, required: 1.15 },
  { figure: "prefill", context: 2048, program: ours, required: 0.9 },
  { figure: "prefill", context: 2048, program: converted, required: 1 },
  { figure: "decode", context: 128, program: ours, required: 1.2 },
  { figure: "decode", context: 2048, program: ours, required: 0.8 },
  { figure: "decode", context: 2048, program: converted, required: 1.2 },
] as const;

/** Of several sequences, in each round. */
const sideBySideRepetitions = 2;

const notes = [
  "Several sequences go on from one prompt, each with a token in every pass, so all have the same share; llama.cpp's in a context of its own for 16, with one store of keys and values for all.",
  "Prefill is reading the whole prompt into an empty state; decode is choosing and reading 32 more tokens greedily at that context.",
  "Programs are measured one after another on every context, in the opposite order every other time; a ratio is of two measurements of one repetition. Processor-time figures count only the time a core worked for the program, so other load on the machine stretches them less.",
  "The first repetition at a context also pays for the growth of our engine's memory; llama.cpp takes its memory for the whole context when it starts.",
  "llama.cpp is compiled for this very processor; WASM has 128-bit vectors everywhere.",
  `The engine Worker, simd128 and int8 KV are measured up to ${shortContext} tokens. ${converted} has constant memory beyond its window of 512 tokens, and is compared with llama.cpp on the Transformer that it was converted from.`,
  "The engine Worker's figures are wall time seen by an HTTP client.",
];

async function run(options: SuiteOptions): Promise<SuiteResult> {
  await setupPython("test");
  await setupPython("bench");
  const { path } = await locateModel();
  return await withStack("real", async (url) => {
    const participants: Participant[] = [];
    try {
      // The two that are compared first and foremost, ours with relaxed SIMD and llama.cpp, are neighbours.
      participants.push(upTo(shortContext, await workerParticipant(url)));
      const wasm = async (name: string, kernel: string, model: string): Promise<Participant> =>
        await startChild({ name, command: process.execPath, args: [inRepository("test/bench/engine/wasm-child.ts"), kernel, model] });
      const llama = async (name: string, kvType: string, sequences = 1): Promise<Participant> => {
        const args = [inRepository("test/bench/llama/engine_child.py"), path, kvType, "1", String(sequences)];
        return await startChild({ name, command: venvPython, args });
      };
      const { path: convertedPath } = await locateModel({ SPIKINGBRAIN_MODEL: convertedModel });
      participants.push(upTo(shortContext, await wasm("WASM simd128, Node", "simd128", path)));
      participants.push(await wasm(converted, "relaxed", convertedPath));
      participants.push(await wasm(ours, "relaxed", path));
      participants.push(await llama(native, "f16"));
      participants.push(upTo(shortContext, await llama(`${native}, int8 KV`, "q8_0")));
      const many = await llama(native, "f16", mostSequences);
      try {
        return await measure(participants, many, options);
      } finally {
        await many.close();
      }
    } finally {
      await Promise.all(participants.map((participant) => participant.close()));
    }
  });
}

function upTo(tokens: number, participant: Participant): Participant {
  return { ...participant, contextLength: Math.min(participant.contextLength, tokens) };
}

async function measure(participants: readonly Participant[], many: Participant, { rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  const tokenizer = preparedTokenizer();
  const collector = new SeriesCollector();
  const texts: string[] = [];
  // Compilers warm up, and caches fill.
  for (const participant of participants) await participant.measure({ prompt: promptOf(tokenizer, 128), decode: decodedTokens });
  const oursAlone = participants.filter(({ name }) => name === ours);
  await many.measure({ prompt: promptOf(tokenizer, 128), decode: decodedTokens, sequences: mostSequences });
  for (let round = 0; round < rounds; round += 1) {
    for (let repetition = 0; repetition < sideBySideRepetitions; repetition += 1)
      await measureSideBySide([...oursAlone, many], promptOf(tokenizer, 128), round + repetition, collector, progress);
    for (const { tokens, times } of contexts) {
      const able = participants.filter(({ contextLength }) => tokens + decodedTokens < contextLength);
      const prompt = promptOf(tokenizer, tokens);
      for (let repetition = 0; repetition < times; repetition += 1) {
        const decoded = await measureEach(alternately(able, round + repetition), prompt, collector, (message) => {
          progress(`round ${round + 1}, ${message}`);
        });
        if (round + repetition === 0) texts.push(`After ${tokens} tokens ours goes on with ${JSON.stringify(tokenizer.decode(decoded))}.`);
      }
    }
  }
  const comparisons = comparisonsOf(collector);
  return {
    settings: {
      rounds,
      "repetitions a round": contexts.map(({ tokens, times }) => `${times} at ${tokens}`).join(", "),
      "decoded tokens": decodedTokens,
      "sequences in one pass": sequenceCounts.join(", "),
    },
    notes: [...participants.map(({ name, description }) => `${name}: ${description}.`), ...notes, ...texts],
    series: collector.all(),
    comparisons,
    floors: [...floors.map((floor) => floorOf(floor, comparisons)), ...sideBySideFloors(collector)],
  };
}

function comparisonsOf(collector: SeriesCollector): Comparison[] {
  return collector.all().flatMap((series) => {
    const baseline = series.program === native ? undefined : collector.find(series.setting, series.figure, native);
    return baseline === undefined || series.unit !== "tokens/s" ? [] : [compare(series, baseline, "ratio")];
  });
}

function floorOf({ figure, context, required, program }: (typeof floors)[number], comparisons: readonly Comparison[]): Floor {
  const setting = settingName(context);
  const measured = `${figure}, processor time`;
  const comparison = comparisons.find((one) => one.setting === setting && one.figure === measured && one.program === program);
  if (comparison === undefined) throw new Error(`${figure} at ${setting} was not compared`);
  return { name: `${figure} at ${setting}, ${program} / ${native}`, required, measured: median(comparison.values) };
}

export const engineSuite: Suite = {
  name: "engine",
  description: "prefill and decode tokens/s at 128 to 4,096 tokens of context, beside llama.cpp",
  defaultRounds: 2,
  // llama.cpp reads ordinary Transformers only.
  model: "smollm2-135m",
  run,
};
