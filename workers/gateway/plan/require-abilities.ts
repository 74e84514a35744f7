/** A request that asks for what the model's backend can't do is refused by the field that asks for it. */
import { missingAbility, type Ability } from "../../contracts/abilities.ts";
import type { Job } from "../../contracts/choice.ts";
import type { ModelDescription } from "../../contracts/engine.ts";
import { unsupportedField } from "../failures.ts";

/** States and what continues an answer are the session Worker's to ask for. */
const fields: Readonly<Partial<Record<Ability, readonly [param: string, rule: string]>>> = {
  prompt_logprobs: ["logprobs", "must be left out where 'echo' is true: log-probabilities of a prompt are not computed"],
  logit_bias: ["logit_bias", "must be empty"],
  token_rules: ["allowed_token_ids", "and 'bad_words' must be left out"],
  long_seeds: ["seed", "must be from 0 to 4294967295, also with one added for each further choice"],
};

/** `constraintField` is the one that asks for a constraint, where one does. */
export function requireAbilities(jobs: readonly Job[], { id, abilities }: ModelDescription, constraintField?: string): void {
  for (const { request } of jobs) {
    const missing = missingAbility(request, abilities);
    if (missing === undefined) continue;
    const ofConstraint = missing.ability === "constraints" ? ([constraintField ?? missing.param, "must be left out"] as const) : undefined;
    const [param, rule] = ofConstraint ?? fields[missing.ability] ?? [missing.param, "must be left out"];
    throw unsupportedField(param, `'${param}' ${rule}, because the backend of the model '${id}' can't do more.`);
  }
}

/** A document is kept as a state. */
export function requireStates({ id, abilities }: ModelDescription): void {
  if (!abilities.includes("states"))
    throw unsupportedField("model", `'model': the backend of the model '${id}' keeps no states, so no document can be read with it.`);
}
