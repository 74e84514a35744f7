/** Between the questions of `POST /v1/systemone` and those that a model is asked. */
import type { SystemOneQuestion } from "../schema/systemone.ts";
import type { Option, Probabilities, Question } from "./question.ts";

const described = (name: string, description: string | null | undefined): Option =>
  description === null || description === undefined ? { name } : { name, description };

export function asQuestion(question: SystemOneQuestion): Question {
  const instructions = question.instructions ?? "";
  if (question.type === "noul") {
    const { true: yes, false: no } = question.criteria ?? {};
    return { instructions, options: [described("", yes), described("", no)], labels: "yes_or_no" };
  }
  if (question.type === "choice")
    return {
      instructions,
      options: Object.entries(question.criteria).map(([name, description]) => described(name, description)),
      labels: "letters",
    };
  return { instructions, options: question.criteria.map((name) => ({ name })), labels: "digits" };
}

/** Its confidence is among all tokens: a model that would rather have said something else has little. */
export function asAnswer(question: SystemOneQuestion, { options, labelMass }: Probabilities): object {
  const best = options.indexOf(Math.max(...options));
  const confidence = (options[best] ?? 0) * labelMass;
  const of = (names: readonly string[]) => Object.fromEntries(names.map((name, at) => [name, options[at] ?? 0]));
  if (question.type === "noul") return { type: "noul", noul: options[0] ?? 0, probabilities: of(["yes", "no"]), confidence };
  if (question.type === "choice") {
    const names = Object.keys(question.criteria);
    return { type: "choice", choice: names[best], probabilities: of(names), confidence };
  }
  const levels = question.criteria.map((_name, at) => String(at));
  return {
    type: "score",
    score: options.reduce((sum, probability, at) => sum + probability * at, 0),
    legend: Object.fromEntries(levels.map((level, at) => [level, question.criteria[at]])),
    probabilities: of(levels),
    confidence,
  };
}
