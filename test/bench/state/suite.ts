/** What the memory of conversations is worth and what it costs, through the local stack as clients see it. */
import { randomUUID } from "node:crypto";
import { preparedTokenizer } from "../engine/prompt.ts";
import { compare, SeriesCollector, type Comparison, type Floor, type Series, type SuiteResult } from "../report/result.ts";
import { median } from "../report/statistics.ts";
import { withStack } from "../stack.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { Client } from "./client.ts";
import { costLengths, measureCosts, turnTokens } from "./costs.ts";
import { measureMisses, missLengths, missSetting, withKey, withoutKey } from "./misses.ts";
import { replay, replaySetting, sampledFigure, sampledPrograms } from "./replay.ts";
import { firstTokenFigure, llamaProgram, measureResume, newTokens, ourProgram, resumeSetting } from "./resume.ts";
import { readSettings, type StateSettings } from "./settings.ts";
import { tokensOfText } from "./text.ts";

/** The longest history may take so much longer than the shortest. */
const leastFlatness = 1 / 1.2;
/** A request that finds nothing may take three hundredths longer for having looked. */
const leastMissRatio = 1 / 1.03;
/** The same at every run, so that what was read in one is found in the next. */
const historyKey = "sk-bench-histories";
/** Fresh prompts are taken from it. */
const leastTextTokens = 20_000;

const notes = [
  "Everything runs on one machine: client, wrangler's proxy and workerd share its cores, so absolute figures are those of a development stack.",
  `Resume: a request of the whole history and ${newTokens} new tokens; the state of the history must be found, or the run fails. Reading the history is not measured.`,
  `Costs: the engine package in Node, one thread; pieces as in the Worker. What a turn of ${turnTokens} tokens writes is header, head and the pages that changed, before sealing.`,
  "Replay: two requests at a time, twelve conversations under way, answers of 8 tokens. Sampled requests are made a second time without a key, which of the two first changing every time.",
  "Fresh prompts are random tokens of the text. Between all requests but those of the replay the stack comes to rest, so that the saving of one state does not slow the next request.",
];

async function run({ model, rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  const settings = readSettings(process.env);
  const { histories, conversations, parts } = settings;
  const tokenizer = preparedTokenizer();
  const longest = Math.max(leastTextTokens, ...histories);
  const text = tokensOfText(tokenizer, longest, settings.textFile);
  const collector = new SeriesCollector();
  const common = { text, rounds, progress, collector };
  const texts: string[] = [];
  if (parts.includes("costs")) await measureCosts({ ...common, model });
  if (parts.some((part) => part !== "costs")) {
    await withStack("real", async (url) => {
      const clients = [new Client(url, historyKey), new Client(url, `sk-bench-${randomUUID()}`), new Client(url, null)] as const;
      const [reader, keyed, keyless] = clients;
      const options = { ...common, url, keyed, keyless, model: model.id, conversations };
      try {
        // The model is loaded and the compilers are warm before anything counts.
        await keyless.stream("/v1/completions", { model: model.id, prompt: text.slice(0, 128), max_tokens: 8, temperature: 0 });
        if (parts.includes("misses")) await measureMisses(options);
        if (parts.includes("resume")) texts.push(...(await measureResume({ ...options, client: reader, histories })));
        if (parts.includes("replay")) await replay(options);
      } finally {
        for (const client of clients) client.close();
      }
    });
  }
  return {
    settings: {
      rounds,
      histories: histories.join(", "),
      "costs at": costLengths.join(", "),
      conversations,
      parts: parts.join(", "),
      text: settings.textFile === null ? "counting" : "from a file",
    },
    notes: [...notes, ...texts],
    series: collector.all(),
    comparisons: comparisons(collector, settings),
    floors: floors(collector, settings),
  };
}

function comparisons(collector: SeriesCollector, { histories, conversations }: StateSettings): Comparison[] {
  const find = (setting: string, figure: string, program: string): Series | undefined => collector.find(setting, figure, program);
  const [shortest = 0] = histories;
  const pairs = [
    ...histories.slice(1).map((history) => [resumeSetting, firstTokenFigure, ourProgram(history), ourProgram(shortest)] as const),
    ...histories.map((history) => [resumeSetting, firstTokenFigure, llamaProgram(history), ourProgram(history)] as const),
    ...missLengths.map((tokens) => [missSetting(tokens), firstTokenFigure, withKey, withoutKey] as const),
    [replaySetting(conversations), sampledFigure, sampledPrograms.keyed, sampledPrograms.keyless] as const,
  ];
  return pairs.flatMap(([setting, figure, program, baseline]) => {
    const [left, right] = [find(setting, figure, program), find(setting, figure, baseline)];
    return left === undefined || right === undefined ? [] : [compare(left, right, "ratio")];
  });
}

function floors(collector: SeriesCollector, { histories }: StateSettings): Floor[] {
  const promise = (name: string, required: number, setting: string, program: string, baseline: string): Floor[] => {
    const [left, right] = [collector.find(setting, firstTokenFigure, program), collector.find(setting, firstTokenFigure, baseline)];
    if (left === undefined || right === undefined) return [];
    return [{ name, required, measured: median(compare(left, right, "ratio").values) }];
  };
  const [shortest = 0, longest = histories[0] ?? 0] = [histories[0], histories.at(-1)];
  return [
    ...promise(
      `resume, ${ourProgram(shortest)} / ${ourProgram(longest)}`,
      Number(leastFlatness.toPrecision(4)),
      resumeSetting,
      ourProgram(shortest),
      ourProgram(longest),
    ),
    ...missLengths.flatMap((tokens) =>
      promise(
        `${missSetting(tokens)}, ${withoutKey} / ${withKey}`,
        Number(leastMissRatio.toPrecision(4)),
        missSetting(tokens),
        withoutKey,
        withKey,
      ),
    ),
  ];
}

export const stateSuite: Suite = {
  name: "state",
  description: "resuming from a state by length of history, what states cost, a replayed workload, and what finding nothing costs",
  defaultRounds: 2,
  run,
};
