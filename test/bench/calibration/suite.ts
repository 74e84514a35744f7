/** What the probabilities of decisions are worth: of what is true, how much is found, and how often what is called likely is so. */
import { questionOf } from "../../../workers/gateway/decisions/answers.ts";
import { averaged, type Question } from "../../../workers/gateway/decisions/question.ts";
import type { DecisionQuestion } from "../../../workers/gateway/schema/decision.ts";
import { SeriesCollector, type SuiteResult } from "../report/result.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { openAskedEngine, type BothOrders } from "./asked-engine.ts";
import { debianSections, sectionNames, sections, type LabelledPackage } from "./debian-sections.ts";
import { accuracy, bestTemperature, brier, calibrationError, logLoss, under, type Judged } from "./scores.ts";

/** Of each of the eight sections. */
const packagesEach = 40;

const choice = (labels: "letters" | "words"): Question => ({
  ...questionOf({
    type: "choice",
    instructions: "What is this software package for?",
    choices: sectionNames.map((value) => ({ value, description: sections[value] })),
  }),
  labels,
});
const predicate = ({ asked }: LabelledPackage): Question => {
  const question: DecisionQuestion = { type: "predicate", instructions: `This software package is for: ${asked} (${sections[asked]}).` };
  return questionOf(question);
};

const kinds = ["choice by letters", "choice by words", "predicate"] as const;
type Kind = (typeof kinds)[number];

interface Asked {
  readonly logprobs: BothOrders;
  readonly priors: BothOrders;
  readonly right: number;
}

async function run({ progress }: SuiteOptions): Promise<SuiteResult> {
  const engine = await openAskedEngine();
  const { packages, digest } = debianSections(packagesEach);
  const priors = new Map<string, BothOrders>();
  const priorOf = (question: Question) => {
    const key = JSON.stringify(question);
    const prior = priors.get(key) ?? engine.askOfNothing(question);
    priors.set(key, prior);
    return prior;
  };
  const asked: Record<Kind, Asked[]> = { "choice by letters": [], "choice by words": [], predicate: [] };
  for (const [at, one] of packages.entries()) {
    const questions = [choice("letters"), choice("words"), predicate(one)];
    const answers = engine.ask(one.description, questions);
    const right = [sectionNames.indexOf(one.section), sectionNames.indexOf(one.section), one.asked === one.section ? 0 : 1];
    for (const [of, kind] of kinds.entries())
      asked[kind].push({ logprobs: answers[of] ?? [], priors: priorOf(questions[of] as Question), right: right[of] ?? 0 });
    if (at % 16 === 15) progress(`${String(at + 1)} of ${String(packages.length)} packages`);
  }
  const half = packages.length / 2;
  const collector = new SeriesCollector();
  const temperatures: Record<string, number> = {};
  for (const labels of ["letters", "words"] as const)
    for (const prior of [false, true]) {
      const named = `${labels}, ${prior ? "prior taken out" : "as they are"}`;
      const judge = (kind: Kind, some: readonly Asked[]) => some.map((one) => judged(one, prior ? one.priors : []));
      const of: readonly Kind[] = [`choice by ${labels}`, "predicate"];
      const temperature = bestTemperature(of.flatMap((kind) => judge(kind, asked[kind].slice(0, half))));
      temperatures[`temperature of ${named}`] = temperature;
      for (const kind of of) {
        const held = judge(kind, asked[kind].slice(half));
        tell(collector, kind === "predicate" ? "predicate" : "choice", named, held);
        tell(collector, kind === "predicate" ? "predicate" : "choice", `${named}, under the temperature`, under(held, temperature));
      }
    }
  for (const kind of kinds) tellOrders(collector, kind, asked[kind].slice(half));
  return {
    settings: { packages: packages.length, sections: sectionNames.length, ...temperatures, "sha256 of the set": digest.slice(0, 12) },
    notes: [
      "Debian's packages by their short descriptions, which are the input, and the sections of its archive (`apt-cache dumpavail`; `test/bench/calibration/debian-sections.ts` takes as many of each). Choice: which of 8 sections; chance is right in 0.125 of them. Predicate: whether it is in one section; half of them are.",
      'Letters: a choice is answered by the letter of its option. Words: by the option\'s own first token. Prior taken out: the log-probabilities of the same question asked of "N/A" are subtracted. Every question is asked with its options in both orders, and the two are averaged.',
      `Each temperature is the one of least log loss on half of the packages, choices and predicates together; all figures are of the other ${String(half)}, on which nothing was fitted.`,
      "Brier score: the squared errors of all options of a question, summed; 8 equal probabilities have 0.875, two have 0.5. Expected calibration error: ten bins of the likeliest option's probability.",
      "The questions are the service's own (`workers/gateway/decisions`), asked of the engine in one process.",
    ],
    series: collector.all(),
    comparisons: [],
    floors: [],
  };
}

const judged = ({ logprobs, right }: Asked, priors: BothOrders): Judged => ({ probabilities: averaged(logprobs, priors).options, right });

function tell(collector: SeriesCollector, setting: string, program: string, held: readonly Judged[]): void {
  const figures = { accuracy, "Brier score": brier, "expected calibration error": calibrationError, "log loss": logLoss };
  for (const [figure, of] of Object.entries(figures))
    collector.add(setting, figure, figure === "log loss" ? "nats" : "", program, of(held));
}

/** What the order of the options does, and what averaging leaves of it. */
function tellOrders(collector: SeriesCollector, kind: Kind, held: readonly Asked[]): void {
  const orders = held.map(({ logprobs, priors }) =>
    [0, 1].map((order) => averaged([logprobs[order] ?? []], [priors[order] ?? []]).options),
  );
  const raw = held.map(({ logprobs }) => [0, 1].map((order) => averaged([logprobs[order] ?? []]).options));
  const setting = `the order of the options: ${kind}`;
  const moves = (pairs: readonly (readonly (readonly number[])[])[]) => mean(pairs.map(([one = [], other = []]) => distance(one, other)));
  const first = (options: readonly number[], isReversed: boolean) => likeliest(options) === (isReversed ? options.length - 1 : 0);
  const firsts = (pairs: readonly (readonly (readonly number[])[])[]) =>
    mean(pairs.flatMap(([one = [], other = []]) => [first(one, false), first(other, true)].map(Number)));
  for (const [program, pairs] of Object.entries({ "as they are": raw, "prior taken out": orders })) {
    collector.add(setting, "probability that moves when it is reversed", "", program, moves(pairs));
    collector.add(setting, "answers of one order that name what stands first", "", program, firsts(pairs));
  }
  collector.add(setting, "label mass", "", "as they are", mean(held.map(({ logprobs }) => averaged(logprobs).labelMass)));
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const likeliest = (options: readonly number[]): number => options.indexOf(Math.max(...options));
/** How much probability one has elsewhere than the other. */
const distance = (left: readonly number[], right: readonly number[]): number =>
  left.reduce((sum, value, at) => sum + Math.abs(value - (right[at] ?? 0)), 0) / 2;

export const calibrationSuite: Suite = {
  name: "calibration",
  description: "what the probabilities of decisions are worth, on descriptions of Debian's packages",
  defaultRounds: 1,
  run,
};
