/**
 * What backends differ in. A description names what its backend can; a request that needs anything else is refused by the field that needs it.
 * Spikes and what is told of the state have fields of their own in the description. `test/contract/ability-proofs.ts` holds a backend to each.
 */
import type { GenerateRequest } from "./engine.ts";

export const abilities = [
  /** Starts from a state, and sends the one at an answer's end: one is of no use without the other. */
  "states",
  /** Sends states on the way too. */
  "states_on_the_way",
  /**
   * Counts an earlier attempt's tokens as output where draws, penalties, a constraint or `minTokens` depend on that, so that an answer which was cut off goes on
   * with the tokens it would have had. A greedy answer without them goes on anywhere.
   */
  "continued",
  "prompt_logprobs",
  "logit_bias",
  /** Takes seeds of 64 bits; every backend takes those of 32. */
  "long_seeds",
  /** Holds an answer to a constraint. */
  "constraints",
  /** Chooses among allowed tokens alone, and leaves banned series out. */
  "token_rules",
  /** Reports the log-probabilities of tokens that the request names. */
  "scored_tokens",
] as const;
export type Ability = (typeof abilities)[number];

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
