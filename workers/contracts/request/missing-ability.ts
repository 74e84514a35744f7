/** The ability that a request needs and a backend has not. */
import { abilities, type Ability } from "../abilities.ts";
import type { GenerateRequest } from "../engine.ts";

export interface MissingAbility {
  readonly ability: Ability;
  /** The request's field that needs it. */
  readonly param: string;
}

type AskedFor = Pick<
  GenerateRequest,
  "allowedTokens" | "bannedSeries" | "constraint" | "continued" | "minTokens" | "promptLogprobs" | "sampling" | "save" | "scoredTokens"
> & { readonly resume?: object };

const largestShortSeed = 2n ** 32n - 1n;

/** The field that needs an ability; undefined where none does. */
const needs: Readonly<Record<Ability, (request: AskedFor) => string | undefined>> = {
  states: ({ resume, save }) => (resume !== undefined ? "resume" : save !== undefined ? "save" : undefined),
  states_on_the_way: ({ save }) => ((save?.at.length ?? 0) > 0 ? "save.at" : undefined),
  continued: (request) => ((request.continued ?? 0) > 0 && countsOutput(request) ? "continued" : undefined),
  prompt_logprobs: ({ promptLogprobs }) => (promptLogprobs === null ? undefined : "promptLogprobs"),
  logit_bias: ({ sampling }) => (sampling.logitBias.length > 0 ? "sampling.logitBias" : undefined),
  long_seeds: ({ sampling }) => (BigInt(sampling.seed) > largestShortSeed ? "sampling.seed" : undefined),
  constraints: ({ constraint }) => (constraint === undefined ? undefined : "constraint"),
  token_rules: ({ allowedTokens, bannedSeries = [] }) =>
    allowedTokens !== undefined ? "allowedTokens" : bannedSeries.length > 0 ? "bannedSeries" : undefined,
  scored_tokens: ({ scoredTokens }) => (scoredTokens === undefined ? undefined : "scoredTokens"),
};

/** Whether the next token depends on how many of the tokens before it are output. */
function countsOutput({ sampling, minTokens, constraint, bannedSeries = [] }: AskedFor): boolean {
  const { temperature, presencePenalty, frequencyPenalty } = sampling;
  const looksBack = constraint !== undefined || bannedSeries.some(({ length }) => length > 1);
  return temperature > 0 || presencePenalty !== 0 || frequencyPenalty !== 0 || minTokens > 0 || looksBack;
}

/** The first thing that a request needs and a backend with these abilities can't do. The request's fields are valid. */
export function missingAbility(request: AskedFor, has: readonly Ability[]): MissingAbility | undefined {
  for (const ability of abilities) {
    const param = has.includes(ability) ? undefined : needs[ability](request);
    if (param !== undefined) return { ability, param };
  }
  return undefined;
}
