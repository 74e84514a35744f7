/** A model of 7 billion parameters over all threads of this machine, beside llama.cpp with one of the same sizes, alternately. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { cacheDirectory, inRepository } from "../../../infra/local/paths.ts";
import { setupPython, venvPython } from "../../../infra/local/python/setup-python.ts";
import { run as runProgram } from "../../../infra/local/run.ts";
import { alternately } from "../alternately.ts";
import { startChild } from "../engine/child-participant.ts";
import { native, settingName, type Participant } from "../engine/participant.ts";
import { compare, SeriesCollector, type Comparison, type Floor, type SuiteResult } from "../report/result.ts";
import type { Suite, SuiteOptions } from "../suite.ts";

const mine = "WASM relaxed, Node";
const promptTokens = 64;
const decodedTokens = 8;
const setting = settingName(promptTokens);
const [prefill, decode, memory] = ["prefill", "decode", "largest resident set over the weights"] as const;

const leastDecode = 1;
const mostMemory = 1.1;

const prompt = Array.from({ length: promptTokens }, (_unused, at) => 1_000 + at);

async function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  await setupPython("test");
  await setupPython("model");
  await setupPython("bench");
  const folder = join(cacheDirectory(), "long");
  progress("writing two models of 4.3 GB, unless they are there …");
  const { status } = await runProgram(venvPython, [inRepository("test/bench/llama/seven_billion.py"), folder], {
    env: { PYTHONPATH: inRepository("gpu-backend") },
  });
  if (status !== 0) throw new Error(`test/bench/llama/seven_billion.py failed with status ${String(status)}.`);
  const threads = String(availableParallelism());
  const engine = [inRepository("test/bench/engine/wasm-child.ts"), "relaxed", join(folder, "linear-7b.gguf"), threads];
  const llama = [inRepository("test/bench/llama/engine_child.py"), join(folder, "softmax-7b.gguf"), "f16", threads];
  const participants: Participant[] = [];
  const collector = new SeriesCollector();
  try {
    progress("loading both …");
    participants.push(await startChild({ name: mine, command: process.execPath, args: engine }));
    participants.push(await startChild({ name: native, command: venvPython, args: llama }));
    for (const participant of participants) await participant.measure({ prompt: prompt.slice(0, 4), decode: 1 });
    for (let round = 0; round < rounds; round += 1)
      for (const participant of alternately(participants, round)) {
        const measured = await participant.measure({ prompt, decode: decodedTokens });
        const rates = { [prefill]: promptTokens / measured.prefillSeconds, [decode]: decodedTokens / measured.decodeSeconds };
        for (const [figure, rate] of Object.entries(rates)) collector.add(setting, figure, "tokens/s", participant.name, rate);
        const { residentBytes, weightBytes } = measured;
        if (residentBytes !== undefined && weightBytes !== undefined)
          collector.add(setting, memory, "x", participant.name, residentBytes / weightBytes);
        progress(`round ${round + 1}, ${participant.name}: ${JSON.stringify(rates)}`);
      }
    return {
      settings: { rounds, threads, "prompt tokens": promptTokens, "decoded tokens": decodedTokens },
      notes: [
        ...participants.map(({ name, description }) => `${name}: ${description}.`),
        "Both models have the sizes of Qwen2.5-7B, in Q4_0, from random rows that repeat (test/bench/llama/seven_billion.py): ours alternates linear attention and a window of 4,097 tokens, as SpikingBrain-7B does; llama.cpp's is `qwen2`.",
        "Floors are of every program's best round: other load on the machine only takes away.",
      ],
      series: collector.all(),
      comparisons: comparisonsOf(collector),
      floors: floorsOf(collector),
    };
  } finally {
    await Promise.all(participants.map((participant) => participant.close()));
  }
}

function comparisonsOf(collector: SeriesCollector): Comparison[] {
  return [prefill, decode].flatMap((figure) => {
    const [one, base] = [collector.find(setting, figure, mine), collector.find(setting, figure, native)];
    return one === undefined || base === undefined ? [] : [compare(one, base, "ratio")];
  });
}

function floorsOf(collector: SeriesCollector): Floor[] {
  const values = (figure: string, program: string) => collector.find(setting, figure, program)?.values ?? [];
  const best = (figure: string, program: string) => Math.max(...values(figure, program));
  return [
    { name: "decode, ours / llama.cpp, best rounds", required: leastDecode, measured: best(decode, mine) / best(decode, native) },
    { name: "weights / largest resident set", required: 1 / mostMemory, measured: 1 / Math.max(...values(memory, mine)) },
  ];
}

export const sevenSuite: Suite = {
  name: "threads-7b",
  description: "a model of 7 billion parameters over all threads, beside llama.cpp; 10 GB of disk and memory",
  defaultRounds: 3,
  model: "smollm2-135m",
  run,
};
