/**
 * What backends differ in. A description names what its backend can; a request that needs anything else is refused by the field that needs it.
 * Spikes and what is told of the state have fields of their own in the description. `test/contract/ability-proofs.ts` holds a backend to each.
 */

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
