/** Questions as the service asks them, of an engine in this process: the input is read once, and each question follows it in a fork. */
import { locateModel } from "../../../infra/local/models/source.ts";
import { loadEngine } from "../../../infra/node/engine-package.ts";
import { greedyParameters, type TokenLogprob } from "../../../workers/contracts/engine.ts";
import { labelLetters, labelTokens } from "../../../workers/gateway/decisions/labels.ts";
import { writeBothOrders, type Question } from "../../../workers/gateway/decisions/question.ts";
import { preparedModel } from "../engine/prepared-model.ts";
import { renderInput, renderQuestion, renderUnasked } from "../../../workers/models/render-question.ts";

const memoryLimitBytes = 2 ** 29;

/** Of a question's two orders, for each of its options: the log-probability of its label. */
export type BothOrders = readonly (readonly number[])[];

export interface AskedEngine {
  ask(input: string, questions: readonly Question[]): readonly BothOrders[];
  /** The same, asked of nothing. */
  askOfNothing(question: Question): BothOrders;
}

export async function openAskedEngine(): Promise<AskedEngine> {
  const { path } = await locateModel();
  const engine = await loadEngine(path, { kvType: "int8", memoryLimitBytes });
  const model = preparedModel();
  const letters = labelLetters(model);
  const open = (labels: readonly number[]) => engine.open(JSON.stringify({ ...greedyParameters, scoredTokens: [...new Set(labels)] }));
  const read = (sequences: readonly number[]) => {
    engine.step(Uint32Array.from(sequences.flatMap((sequence) => [sequence, engine.pending(sequence)])));
  };
  const scoresOf = (sequence: number, labels: readonly number[]) => {
    const { logprob } = JSON.parse(engine.sample(sequence)) as { readonly logprob?: TokenLogprob };
    const told = new Map(logprob?.top);
    return labels.map((label) => told.get(label) ?? Number.NEGATIVE_INFINITY);
  };
  const written = (question: Question) =>
    writeBothOrders(question, letters).map(({ text, labels }) => ({ text, labels: labelTokens(model, labels, "questions") }));
  return {
    ask(input, questions) {
      const orders = questions.flatMap(written);
      const { tokens, open: role } = renderInput(model, [{ role: "user", content: input }]);
      const first = open(orders.flatMap(({ labels }) => labels));
      engine.feed(first, tokens);
      read([first]);
      const asked = orders.map(({ text }) => {
        const sequence = engine.fork(first);
        engine.feed(sequence, renderQuestion(model, role, text));
        return sequence;
      });
      read(asked);
      const scores = asked.map((sequence, at) => scoresOf(sequence, orders[at]?.labels ?? []));
      for (const sequence of [first, ...asked]) engine.close(sequence);
      return questions.map((_question, at) => scores.slice(2 * at, 2 * at + 2));
    },
    askOfNothing: (question) =>
      written(question).map(({ text, labels }) => {
        const sequence = open(labels);
        engine.feed(sequence, renderUnasked(model, text));
        read([sequence]);
        const scores = scoresOf(sequence, labels);
        engine.close(sequence);
        return scores;
      }),
  };
}
