/** Many questions about one document: the service, beside llama.cpp that is asked the same. */
import { randomUUID } from "node:crypto";
import { locateModel } from "../../../infra/local/models/source.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import { setupPython, venvPython } from "../../../infra/local/python/setup-python.ts";
import { questionOf } from "../../../workers/gateway/decisions/answers.ts";
import { labelLetters, labelTokens } from "../../../workers/gateway/decisions/labels.ts";
import { writeBothOrders } from "../../../workers/gateway/decisions/question.ts";
import type { DecisionQuestion } from "../../../workers/gateway/schema/decision.ts";
import { renderQuestion } from "../../../workers/models/render-question.ts";
import { startProcess } from "../engine/child-participant.ts";
import { preparedModel } from "../engine/prepared-model.ts";
import { processorTime } from "../http/processor-time.ts";
import { compare, SeriesCollector, type Comparison, type Floor, type SuiteResult } from "../report/result.ts";
import { withStack } from "../stack.ts";
import { Client } from "../state/client.ts";
import { sendContext, whenRead } from "../state/contexts.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import type { Timed } from "../timed.ts";
import { readSettings, type DecisionSettings } from "./settings.ts";

const peerModel = "smollm2-135m";
const ours = "decisions";
const again = "decisions, asked before";
const kept = "llama.cpp, cut back to the document";
const loaded = "llama.cpp, the document's state loaded";
const without = "llama.cpp, the document read for each question";

const figures = { document: "reading the document", question: "a question", all: "the document and all questions" } as const;
const processor = ", processor time";

interface Decided {
  readonly usage: {
    readonly input_tokens: number;
    readonly input_tokens_details: { readonly cached_tokens: number };
  };
}

interface LlamaAnswer {
  readonly read: Timed;
  readonly kept: Timed;
  readonly loaded: Timed;
  /** How many questions each way was asked. */
  readonly asked: { readonly kept: number; readonly loaded: number };
  readonly stateBytes: number;
  readonly difference: number;
}

const notes = [
  "Ours is the service over HTTP: the document is uploaded as a context and read once; all questions are predicates of one request, each in both orders of its options. The first time each question is also asked of no input, where the model's card says so (its prior is taken out); that is known when the same questions are asked of another document or again.",
  "llama.cpp is given the same tokens on one thread, in one process, without HTTP: both orders of each question after the document, on the Transformer that our model was converted from. Cut back: what follows the document in its cache is removed, which costs nothing. Loaded: the whole state is copied in. Beyond the 8,192 tokens that it was trained on its answers mean nothing, and take the same time.",
  "It is asked all questions in each way, or as many as it has begun within the bound of time in the settings; where it is asked fewer, times of all of them are those of a question times their number. Reading the document for each question was not done: it is the time of reading it, and of a question.",
  "Processor time of ours is that of the Workers' runtime. Ratios are of processor time.",
];

async function run({ model, rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  await setupPython("bench");
  const settings = readSettings(process.env);
  const collector = new SeriesCollector();
  const questions = Array.from({ length: settings.questions }, (_unused, at): DecisionQuestion => predicate(at));
  const promptTokens: Record<string, number> = {};
  const fewest = { kept: Infinity, loaded: Infinity };
  for (let round = 0; round < rounds; round += 1) {
    await withStack("real", async (url) => {
      for (const tokens of [settings.shortTokens, settings.tokens]) {
        const counted = await askService(url, model.id, documentOf(tokens), questions, tokens, collector, progress);
        promptTokens[`tokens read by a question behind ${String(tokens)}`] = counted;
      }
    });
    progress(`llama.cpp, behind ${String(settings.tokens)} tokens`);
    const asked = await askLlama(settings, questions, collector);
    fewest.kept = Math.min(fewest.kept, asked.kept);
    fewest.loaded = Math.min(fewest.loaded, asked.loaded);
  }
  return {
    settings: {
      ...{ rounds, questions: settings.questions, "seconds for llama.cpp in each way": settings.peerSeconds },
      ...{ "of them asked of llama.cpp, cut back": fewest.kept, "of them asked of llama.cpp, loaded": fewest.loaded },
      ...promptTokens,
    },
    notes,
    series: collector.all(),
    comparisons: comparisonsOf(collector, settings),
    floors: floorsOf(collector, settings),
  };
}

const line = (at: number) => `The number after ${String(at)} is ${String(at + 1)}.\n`;
const predicate = (at: number): DecisionQuestion => ({
  type: "predicate",
  instructions: `The number after ${String(at + 1)} is ${String(at + 2 + (at % 2))}.`,
});

/** So many tokens, or one line more. */
function documentOf(tokens: number): string {
  const { tokenizer } = preparedModel();
  let text = "";
  for (let at = 1, length = 0; length < tokens; at += 1) {
    text += line(at);
    length += tokenizer.encode(line(at)).length;
  }
  return text;
}

/** How many tokens a question took. */
async function askService(
  url: string,
  model: string,
  document: string,
  questions: readonly DecisionQuestion[],
  tokens: number,
  collector: SeriesCollector,
  progress: (message: string) => void,
): Promise<number> {
  const client = new Client(url, `sk-${randomUUID()}`);
  try {
    const add = (figure: string, program: string, { wall, processor: seconds }: Timed, parts = 1) => {
      collector.add(settingOf(tokens), figure, "s", program, wall / parts);
      collector.add(settingOf(tokens), `${figure}${processor}`, "s", program, seconds / parts);
    };
    const read = await timedStack(url, async () => await whenRead(client, await sendContext(client, model, document), () => undefined));
    add(figures.document, ours, read);
    progress(`the document is read: ${String(read.value.tokens)} tokens, ${read.wall.toFixed(1)} s`);
    const ask = () => timedStack(url, () => client.json<Decided>("POST", "/v1/decisions", { model, context_id: read.value.id, questions }));
    const [first, second] = [await ask(), await ask()];
    for (const [program, asked] of [
      [ours, first],
      [again, second],
    ] as const) {
      progress(`${program}: ${asked.wall.toFixed(1)} s`);
      add(figures.question, program, asked, questions.length);
      add(figures.all, program, { wall: read.wall + asked.wall, processor: read.processor + asked.processor });
    }
    const { input_tokens: all, input_tokens_details: details } = second.value.usage;
    if (details.cached_tokens !== read.value.tokens)
      throw new Error(`only ${String(details.cached_tokens)} tokens of the document were remembered`);
    return (all - details.cached_tokens) / questions.length;
  } finally {
    client.close();
  }
}

async function timedStack<T>(url: string, work: () => Promise<T>): Promise<Timed & { readonly value: T }> {
  const [begin, before] = [performance.now(), processorTime(url)?.workers ?? Number.NaN];
  const value = await work();
  return { value, wall: (performance.now() - begin) / 1000, processor: (processorTime(url)?.workers ?? Number.NaN) - before };
}

async function askLlama(
  { tokens, peerSeconds }: DecisionSettings,
  questions: readonly DecisionQuestion[],
  collector: SeriesCollector,
): Promise<LlamaAnswer["asked"]> {
  const model = preparedModel();
  const letters = labelLetters(model);
  const asked = questions.map((question) => {
    const orders = writeBothOrders(questionOf(question), letters);
    const prompts = orders.map(({ text }) => [...renderQuestion(model, "system", text)]);
    return { prompts, labels: labelTokens(model, orders[0].labels, "questions") };
  });
  const document = [...(model.chatTemplate?.renderOpenSystem(documentOf(tokens)) ?? [])];
  const { path } = await locateModel({ SPIKINGBRAIN_MODEL: peerModel });
  const child = await startProcess<{ readonly description: string }, object, LlamaAnswer>({
    name: "llama.cpp",
    command: venvPython,
    args: [inRepository("test/bench/llama/decide_child.py"), path, String(document.length)],
  });
  try {
    const answer = await child.ask({ document, questions: asked, seconds: peerSeconds });
    const add = (program: string, figure: string, of: (time: "wall" | "processor") => number) => {
      collector.add(settingOf(tokens), figure, "s", program, of("wall"));
      collector.add(settingOf(tokens), `${figure}${processor}`, "s", program, of("processor"));
    };
    for (const program of [kept, loaded, without]) {
      const way = program === loaded ? "loaded" : "kept";
      const question = (time: "wall" | "processor") =>
        answer[way][time] / answer.asked[way] + (program === without ? answer.read[time] : 0);
      if (program === kept) add(program, figures.document, (time) => answer.read[time]);
      add(program, figures.question, question);
      add(program, figures.all, (time) => (program === without ? 0 : answer.read[time]) + questions.length * question(time));
    }
    collector.add(settingOf(tokens), "bytes of the document's state", "bytes", kept, answer.stateBytes);
    return answer.asked;
  } finally {
    await child.close();
  }
}

const settingOf = (tokens: number): string => `behind ${String(tokens)} tokens`;

function comparisonsOf(collector: SeriesCollector, { tokens }: DecisionSettings): Comparison[] {
  return [figures.question, figures.all].flatMap((figure) => {
    const baseline = collector.find(settingOf(tokens), `${figure}${processor}`, ours);
    return [again, kept, loaded, without].flatMap((program) => {
      const one = collector.find(settingOf(tokens), `${figure}${processor}`, program);
      return one === undefined || baseline === undefined ? [] : [compare(one, baseline, "ratio")];
    });
  });
}

/** A question costs its own tokens, however long the document is. */
function floorsOf(collector: SeriesCollector, { shortTokens, tokens }: DecisionSettings): Floor[] {
  const least = (length: number) =>
    Math.min(...(collector.find(settingOf(length), `${figures.question}${processor}`, again)?.values ?? []));
  return [
    {
      name: `a question's time behind ${String(shortTokens)} tokens / behind ${String(tokens)}`,
      required: 0.8,
      measured: least(shortTokens) / least(tokens),
    },
  ];
}

export const decisionsSuite: Suite = {
  name: "decisions",
  description: "many questions about one document, beside llama.cpp that is asked the same",
  defaultRounds: 1,
  run,
};
