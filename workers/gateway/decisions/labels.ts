/** The labels that a model can answer with: letters that are one token of its vocabulary each, and the first tokens of words. */
import { invalidRequest } from "../failures.ts";
import type { ServedModel } from "../../models/served-model.ts";
import type { Question } from "./question.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

const alphabet = Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
const lettersOf = new WeakMap<Tokenizer, readonly string[]>();

/** A to Z, then two letters, as far as each is one token. */
export function labelLetters({ tokenizer }: Pick<ServedModel, "tokenizer">): readonly string[] {
  const known = lettersOf.get(tokenizer);
  if (known !== undefined) return known;
  const pairs = alphabet.flatMap((first) => alphabet.map((second) => first + second));
  const letters = [...alphabet, ...pairs].filter((label) => tokenizer.encode(label).length === 1);
  lettersOf.set(tokenizer, letters);
  return letters;
}

/** The question as it is asked of this model: by its options' own words where that was measured to be better, and no two begin alike. */
export function askedBy({ tokenizer, card }: Pick<ServedModel, "tokenizer" | "card">, question: Question): Question {
  if (question.labels !== "letters" || card.decisions?.labels !== "words") return question;
  const first = question.options.map(({ name }) => tokenizer.encode(name)[0]);
  const areDifferent = new Set(first).size === first.length && !first.includes(undefined);
  return areDifferent ? { ...question, labels: "words" } : question;
}

/**
 * The tokens that answers with these labels begin with.
 * @throws ServiceError where there are not as many labels, or two begin alike, so that they can't be told apart by one token.
 */
export function labelTokens({ tokenizer, card }: ServedModel, labels: readonly string[], field: string): readonly number[] {
  const tokens = labels.flatMap((label) => Array.from(tokenizer.encode(label).subarray(0, 1)));
  if (tokens.length === labels.length && new Set(tokens).size === tokens.length) return tokens;
  const most = labelLetters({ tokenizer }).length;
  throw invalidRequest(
    `'${field}': the model '${card.id}' can't tell these options apart by one token; of choices it can, up to ${String(most)} (got ${String(labels.length)} options).`,
    field,
  );
}
