/** What the memory of conversations is worth and what it costs, through the local stack as clients see it. */
import { randomUUID } from "node:crypto";
import { preparedTokenizer } from "../engine/prompt.ts";
import { SeriesCollector, type SuiteResult } from "../report/result.ts";
import { withStack } from "../stack.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { Client } from "./client.ts";
import { costLengths, measureCosts, turnTokens } from "./costs.ts";
import { measureMisses } from "./misses.ts";
import { comparisons, floors } from "./promises.ts";
import { replay } from "./replay.ts";
import { measureResume, newTokens } from "./resume.ts";
import { measureLengths } from "./lengths.ts";
import { forkOfDocument, measureSessions } from "./sessions.ts";
import { readSettings } from "./settings.ts";
import { tokensOfText } from "./text.ts";

/** The same at every run, so that what was read in one is found in the next. */
const historyKey = "sk-bench-histories";
/** A document whose state is as large as any. */
const leastLengthHistory = 1_000;
/** Fresh prompts are taken from it. */
const leastTextTokens = 20_000;

const notes = [
  "Everything runs on one machine: client, wrangler's proxy and workerd share its cores, so absolute figures are those of a development stack.",
  `Resume: a request of the whole history and ${newTokens} new tokens; the state of the history must be found, or the run fails. Reading the history is not measured. Histories longer than one request may be are left out.`,
  "Sessions: a question about a document, in a session just forked from it, which sends the question alone; the state of the document must be found, or the run fails.",
  "Lengths: as sessions, but the state is that of a document of 1,000 tokens under a history of as many as it says (its position rewritten, its tokens repeated), because reading a million takes hours: times are real, texts are not.",
  `Costs: the engine package in Node, one thread; chunks as in the Worker. What a turn of ${turnTokens} tokens writes is header, head and the pages that changed, before sealing.`,
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
        if (parts.includes("sessions")) await measureSessions({ ...options, client: reader, histories, tokenizer });
        if (parts.includes("lengths")) {
          const session = await forkOfDocument({ ...options, client: reader, histories, tokenizer }, leastLengthHistory);
          await measureLengths({ ...options, client: reader, key: historyKey, session });
        }
        if (parts.includes("resume")) texts.push(...(await measureResume({ ...options, client: reader, histories })));
        if (parts.includes("replay")) await replay(options);
        await keyed.json("POST", "/direct/forget");
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

export const stateSuite: Suite = {
  name: "state",
  description: "resuming from a state by length of history, what states cost, a replayed workload, and what finding nothing costs",
  defaultRounds: 2,
  run,
};
