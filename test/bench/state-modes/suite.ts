/** What rounding saves of a state file and costs of its continuation: the built-in model far behind its window, on texts it has not seen. */
import { locateModel } from "../../../infra/local/models/source.ts";
import { loadEngine } from "../../../infra/node/engine-package.ts";
import { preparedTokenizer } from "../engine/prompt.ts";
import { compare, SeriesCollector, type SuiteResult } from "../report/result.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { agreement, commonStart, continuationOf, filesOf } from "./continuation.ts";
import { beginningOf, heldOutFiles } from "./texts.ts";

/** Twice the window and half of it again: most of the text has left. */
const contextTokens = 1_500;
const scoredTokens = 256;
const greedyTokens = 64;
/** Of the whole linear memory: two engines, each with its weights. */
const memoryLimitBytes = 2 ** 30;

const exact = "as it is";
const modes = {
  f32: { [exact]: {}, "window int8": { window: "int8" }, "state bf16": { state: "bf16" }, both: { window: "int8", state: "bf16" } },
  int8: { [exact]: {}, "state bf16": { state: "bf16" } },
} as const;
const figures = { file: "file", perplexity: "perplexity", likeliest: "same likeliest token", start: "same greedy tokens from the start" };

async function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  if (rounds > heldOutFiles.length) throw new Error(`--rounds must be at most ${heldOutFiles.length}, one a text; it is ${rounds}.`);
  const { path } = await locateModel();
  const tokenizer = preparedTokenizer();
  const texts = heldOutFiles.slice(0, rounds).map((file) => beginningOf(tokenizer, file, contextTokens + scoredTokens));
  const collector = new SeriesCollector();
  for (const kvType of ["f32", "int8"] as const) {
    const engine = await loadEngine(path, { package: "relaxed", kvType, memoryLimitBytes });
    const setting = settingOf(kvType);
    const programs = Object.entries(modes[kvType]);
    for (const [round, text] of texts.entries()) {
      const files = filesOf(
        engine,
        text.subarray(0, contextTokens),
        programs.map(([, mode]) => JSON.stringify(mode)),
      );
      const continuations = files.map((file) => continuationOf(engine, file, text.subarray(contextTokens), greedyTokens));
      const [plain] = continuations;
      for (const [at, found] of continuations.entries()) {
        const name = programs[at]?.[0] ?? "";
        collector.add(setting, figures.file, "MB", name, (files[at]?.length ?? NaN) / 1e6);
        collector.add(setting, figures.perplexity, "", name, found.perplexity);
        if (plain === undefined || name === exact) continue;
        collector.add(setting, figures.likeliest, "%", name, 100 * agreement(found.likeliest, plain.likeliest));
        collector.add(setting, figures.start, "tokens", name, commonStart(found.greedy, plain.greedy));
      }
      progress(`${setting}: text ${round + 1} of ${rounds}`);
    }
    engine.free();
  }
  return {
    settings: { rounds, "tokens before": contextTokens, "tokens scored": scoredTokens, "tokens said": greedyTokens, package: "relaxed" },
    notes: [
      `A round is a text: the beginnings of ${heldOutFiles.slice(0, rounds).join(", ")}, which the model was not made from.`,
      "Its state is saved in every mode and restored; then it reads the text that follows, and, from the same place, goes on by itself.",
      "Likeliest and greedy tokens are compared with those of the state that was saved as it is, which are an uninterrupted run's, bit for bit.",
    ],
    series: collector.all(),
    comparisons: comparisons(collector),
    floors: [],
  };
}

function settingOf(kvType: keyof typeof modes): string {
  return `keys and values ${kvType}`;
}

/** Bytes and perplexity beside those of the state as it is. */
function comparisons(collector: SeriesCollector): SuiteResult["comparisons"] {
  return (["f32", "int8"] as const).flatMap((kvType) =>
    [figures.file, figures.perplexity].flatMap((figure) => {
      const setting = settingOf(kvType);
      const plain = collector.find(setting, figure, exact);
      const rounded = Object.keys(modes[kvType]).filter((name) => name !== exact);
      return rounded.flatMap((name) => {
        const series = collector.find(setting, figure, name);
        return series === undefined || plain === undefined ? [] : [compare(series, plain, "ratio")];
      });
    }),
  );
}

export const stateModesSuite: Suite = {
  name: "state-modes",
  description: "state files as they are and rounded: bytes, perplexity, agreement",
  defaultRounds: heldOutFiles.length,
  run,
};
