/** A request that asks for what the model's backend can't do is refused by the field that asks for it. */
import { missingAbility, type MissingAbility } from "../../contracts/request/missing-ability.ts";
import type { Ability } from "../../contracts/abilities.ts";
import type { Job } from "../../contracts/choice.ts";
import type { ModelDescription } from "../../contracts/engine.ts";
import { unsupportedField } from "../failures.ts";
import type { ScoresField } from "./jobs.ts";

/** States and what continues an answer are the session Worker's to ask for. */
const fields: Readonly<Partial<Record<Ability, readonly [param: string, rule: string]>>> = {
  logit_bias: ["logit_bias", "must be empty"],
  token_rules: ["allowed_token_ids", "and 'bad_words' must be left out"],
  long_seeds: ["seed", "must be from 0 to 4294967295, also with one added for each further choice"],
};

const scoresRules: Readonly<Record<ScoresField, string>> = {
  logprobs: "must be left out where 'echo' is true: log-probabilities of a prompt are not computed",
  prompt_logprobs: "must be left out: log-probabilities of a prompt are not computed",
};

/** Fields that ask for what several fields can ask for. */
export interface AskingFields {
  /** For a constraint, where one does. */
  readonly constraint?: string | undefined;
  /** For a prompt's log-probabilities. */
  readonly scores?: ScoresField | undefined;
}

export function requireAbilities(
  jobs: readonly Job[],
  { id, abilities }: ModelDescription,
  { constraint, scores = "logprobs" }: AskingFields = {},
): void {
  for (const { request } of jobs) {
    const missing = missingAbility(request, abilities);
    if (missing === undefined) continue;
    const [param, rule] = fieldOf(missing);
    throw unsupportedField(param, `'${param}' ${rule}, because the backend of the model '${id}' can't do more.`);
  }

  function fieldOf(missing: MissingAbility): readonly [param: string, rule: string] {
    if (missing.ability === "constraints") return [constraint ?? missing.param, "must be left out"];
    if (missing.ability === "prompt_logprobs") return [scores, scoresRules[scores]];
    return fields[missing.ability] ?? [missing.param, "must be left out"];
  }
}

/** A document is kept as a state. */
export function requireStates({ id, abilities }: ModelDescription): void {
  if (!abilities.includes("states"))
    throw unsupportedField("model", `'model': the backend of the model '${id}' keeps no states, so no document can be read with it.`);
}
