/** Between the questions of `POST /v1/decisions` and those that a model is asked. */
import type { DecisionQuestion } from "../schema/decision.ts";
import type { Option, Probabilities, Question } from "./question.ts";

const described = (name: string, description: string | null | undefined): Option =>
  description === null || description === undefined ? { name } : { name, description };

export function questionOf(question: DecisionQuestion): Question {
  const { instructions } = question;
  if (question.type === "predicate")
    return { instructions: `Is this true? ${instructions}`, options: [{ name: "" }, { name: "" }], labels: "yes_or_no" };
  if (question.type === "choice")
    return {
      instructions,
      options: question.choices.map(({ value, description }) => described(String(value), description)),
      labels: "letters",
    };
  return { instructions, options: question.levels.map(({ label, description }) => described(label, description)), labels: "digits" };
}

export function answerOf(question: DecisionQuestion, { options, labelMass }: Probabilities): object {
  const common = { type: question.type, name: question.name ?? null };
  const best = options.indexOf(Math.max(...options));
  const confidence = options[best] ?? 0;
  if (question.type === "predicate") return { ...common, probability: options[0] ?? 0, label_mass: labelMass };
  if (question.type === "choice")
    return {
      ...common,
      choice: question.choices[best]?.value,
      confidence,
      probabilities: question.choices.map(({ value }, at) => ({ value, probability: options[at] ?? 0 })),
      label_mass: labelMass,
    };
  return {
    ...common,
    // The expected level, counted from 0.
    score: options.reduce((sum, probability, at) => sum + probability * at, 0),
    confidence,
    probabilities: question.levels.map(({ label }, at) => ({ label, value: at, probability: options[at] ?? 0 })),
    label_mass: labelMass,
  };
}
