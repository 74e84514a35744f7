/** Our engine over threads beside itself on one, and beside llama.cpp on as many, on the same file in the same run, alternately. */
import { availableParallelism } from "node:os";
import { locateModel } from "../../../infra/local/models/source.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import { setupPython, venvPython } from "../../../infra/local/python/setup-python.ts";
import { alternately } from "../alternately.ts";
import { startChild } from "../engine/child-participant.ts";
import { measureEach } from "../engine/measure-each.ts";
import { native, ours, settingName, type Participant } from "../engine/participant.ts";
import { preparedTokenizer, promptOf } from "../engine/prompt.ts";
import { compare, SeriesCollector, type Comparison, type Floor, type SuiteResult } from "../report/result.ts";
import type { Suite, SuiteOptions } from "../suite.ts";

const contexts = [128, 512] as const;
const mostThreads = 4;

/** Least ratios of two threads to one, by wall time. */
const floors = { prefill: 1.7, decode: 1.5 } as const;

const nameOf = (program: string, threads: number): string => (threads === 1 ? program : `${program}, ${threads} threads`);

async function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  await setupPython("test");
  await setupPython("bench");
  const { path } = await locateModel();
  const counts = [1, 2, 3, 4].filter((count) => count === 1 || count <= Math.min(availableParallelism(), mostThreads));
  const all = counts.at(-1) ?? 1;
  const participants: Participant[] = [];
  try {
    for (const threads of counts) {
      const args = [inRepository("test/bench/engine/wasm-child.ts"), "relaxed", path, String(threads)];
      participants.push(await startChild({ name: nameOf(ours, threads), command: process.execPath, args }));
    }
    const args = [inRepository("test/bench/llama/engine_child.py"), path, "f16", String(all)];
    participants.push(await startChild({ name: nameOf(native, all), command: venvPython, args }));
    const tokenizer = preparedTokenizer();
    const collector = new SeriesCollector();
    for (const participant of participants) await participant.measure({ prompt: promptOf(tokenizer, contexts[0]), decode: 4 });
    for (let round = 0; round < rounds; round += 1)
      for (const tokens of contexts)
        await measureEach(alternately(participants, round), promptOf(tokenizer, tokens), collector, (message) => {
          progress(`round ${round + 1}, ${message}`);
        });
    const series = collector.all().filter(({ unit, figure }) => unit === "tokens/s" && !figure.includes("processor"));
    const comparisons = series.flatMap((one): Comparison[] => {
      const baseline = (program: string) => (one.program === program ? undefined : collector.find(one.setting, one.figure, program));
      const [single, other] = [baseline(ours), one.program === nameOf(ours, all) ? baseline(nameOf(native, all)) : undefined];
      return [single, other].flatMap((base) => (base === undefined ? [] : [compare(one, base, "ratio")]));
    });
    return {
      settings: { rounds, contexts: contexts.join(", "), threads: counts.join(", ") },
      notes: [
        ...participants.map(({ name, description }) => `${name}: ${description}.`),
        "Ratios are of wall time: other load on the machine takes a core from two threads, and little from one. Floors are held to every program's best round.",
        "Every number of threads decodes the very same tokens, or the run ends.",
      ],
      series: collector.all(),
      comparisons,
      floors: floorsOf(collector),
    };
  } finally {
    await Promise.all(participants.map((participant) => participant.close()));
  }
}

/** Of every program its best round: one in which something else ran says nothing of what threads gain. */
function floorsOf(collector: SeriesCollector): Floor[] {
  const best = (setting: string, figure: string, program: string) => Math.max(...(collector.find(setting, figure, program)?.values ?? []));
  return Object.entries(floors).flatMap(([figure, required]) =>
    contexts.map(settingName).flatMap((setting) => {
      const [two, one] = [best(setting, figure, nameOf(ours, 2)), best(setting, figure, ours)];
      return Number.isFinite(two) ? [{ name: `${figure} at ${setting}, 2 threads / 1, best rounds`, required, measured: two / one }] : [];
    }),
  );
}

export const threadsSuite: Suite = {
  name: "threads",
  description: "prefill and decode tokens/s over 1 to 4 threads, beside one thread and llama.cpp",
  defaultRounds: 3,
  model: "smollm2-135m",
  run,
};
