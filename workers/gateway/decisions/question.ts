/** Questions as the model reads them, and what its probabilities mean. Every question is asked in two orders, because a model prefers what stands first. */

export interface Option {
  /** As the model reads it. */
  readonly name: string;
  readonly description?: string;
}

/** How an option is written for the model, and what it answers with. */
export type LabelKind = "letters" | "words" | "yes_or_no" | "digits";

export interface Question {
  readonly instructions: string;
  readonly options: readonly Option[];
  readonly labels: LabelKind;
}

/** One of a question's two orders: which option has which label is known by its place. */
export interface WrittenQuestion {
  readonly text: string;
  /** For each option in the question's own order, its label. */
  readonly labels: readonly string[];
}

const replies: Readonly<Record<LabelKind, string>> = {
  letters: "Answer with the letters of one option only.",
  words: "Answer with one of these words only.",
  yes_or_no: "Answer with Yes or No only.",
  digits: "Answer with the number of one level only.",
};

/**
 * In the order of its options, and in the reversed one. Letters say where an option stands, so that they go by the order; what a yes or the number of
 * a level means does not.
 * @param letters The model's labels, at least as many as there are options where these have letters.
 */
export function writeBothOrders(question: Question, letters: readonly string[]): readonly [WrittenQuestion, WrittenQuestion] {
  return [written(question, letters, false), written(question, letters, true)];
}

function written({ instructions, options, labels: kind }: Question, letters: readonly string[], isReversed: boolean): WrittenQuestion {
  const last = options.length - 1;
  const labels = options.map((_option, at) => {
    if (kind === "letters") return letters[isReversed ? last - at : at] ?? "";
    if (kind === "words") return options[at]?.name ?? "";
    return kind === "digits" ? String(at) : at === 0 ? "Yes" : "No";
  });
  const lines = options.map((option, at) => lineOf(option, labels[at] ?? "", kind));
  const asked = instructions === "" ? [] : [`Question: ${instructions}`];
  return { text: [...asked, ...(isReversed ? lines.toReversed() : lines), replies[kind]].join("\n"), labels };
}

function lineOf({ name, description }: Option, label: string, kind: LabelKind): string {
  if (kind === "words") return description === undefined || description === "" ? name : `${name}: ${description}`;
  const said = description === undefined || description === "" ? name : name === "" ? description : `${name} - ${description}`;
  return kind === "yes_or_no" && said === "" ? label : `${label}: ${said}`;
}

export interface Probabilities {
  /** Of each option among the options; they sum to 1. */
  readonly options: readonly number[];
  /** Of all labels together among all tokens: how far the model answers by a label at all. */
  readonly labelMass: number;
}

/** As they are told of a question. */
export interface AskedProbabilities extends Probabilities {
  /** Whether the likeliest token of all is a label, in both orders. */
  readonly beginsWithLabel: boolean;
}

/**
 * Both orders' probabilities, averaged. `logprobs`: of each option's label, as {@link WrittenQuestion.labels} has them. `priors`: the same of the
 * questions asked of nothing, where they are taken out: what a label has for its own sake, or for where it stands.
 */
export function averaged(logprobs: readonly (readonly number[])[], priors: readonly (readonly number[])[] = []): Probabilities {
  const orders = logprobs.map((one, order) => ({
    options: amongLabels(one.map((logprob, at) => logprob - (priors[order]?.[at] ?? 0))).options,
    labelMass: amongLabels(one).labelMass,
  }));
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const options = (orders[0]?.options ?? []).map((_value, at) => mean(orders.map((order) => order.options[at] ?? 0)));
  return { options, labelMass: mean(orders.map(({ labelMass }) => labelMass)) };
}

function amongLabels(logprobs: readonly number[]): Probabilities {
  const highest = Math.max(...logprobs);
  const weights = logprobs.map((logprob) => Math.exp(logprob - highest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  // Rounding may leave a little more than all.
  return { options: weights.map((weight) => weight / total), labelMass: Math.min(1, total * Math.exp(highest)) };
}
