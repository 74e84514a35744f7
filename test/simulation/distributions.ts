/**
 * What people send to language models, from two public recordings, as quantiles that a seeded generator draws from.
 *
 * - Lengths of prompts and answers, and arrivals: `AzureLLMInferenceTrace_conv.csv` of the Azure Public Dataset (CC BY 4.0; Patel et al., Splitwise,
 *   ISCA 2024): 19,366 requests of one hour. Intervals between requests have a coefficient of variation of 1.09, and counts of a minute one of
 *   0.22, in one slow wave: a Poisson process of which the rate goes up and down by 0.31 of its mean, whose own is 0.22.
 * - Turns of a conversation, the time from one turn to the next, and tokens that a turn adds: `conversation_trace.jsonl` of Mooncake (Apache-2.0;
 *   Qin et al., FAST 2025): 12,031 requests of 59 minutes, of which those that share blocks of their prompt beyond the first one are taken for
 *   turns of one conversation (7,402 of them).
 *
 * Not from a recording: that three requests in ten are of applications, which ask once with one of 200 beginnings, whose popularity falls with
 * their rank (Zipf, exponent 1), each 256 to 2,048 tokens long.
 */
import type { Dice } from "../workers/support/dice.ts";

/** Values at shares of the recorded ones, linear between them. */
type Quantiles = readonly (readonly [share: number, value: number])[];

export const promptTokens: Quantiles = [
  [0, 2],
  [0.01, 29],
  [0.05, 181],
  [0.1, 207],
  [0.2, 387],
  [0.3, 403],
  [0.4, 703],
  [0.5, 1020],
  [0.6, 1071],
  [0.7, 1130],
  [0.8, 1315],
  [0.9, 2735],
  [0.95, 4083],
  [0.99, 4142],
  [1, 14_050],
];

export const answerTokens: Quantiles = [
  [0, 7],
  [0.01, 16],
  [0.05, 41],
  [0.1, 54],
  [0.2, 77],
  [0.3, 91],
  [0.4, 103],
  [0.5, 129],
  [0.6, 177],
  [0.7, 384],
  [0.8, 400],
  [0.9, 424],
  [0.95, 451],
  [0.99, 601],
  [1, 1_000],
];

/** From the begin of one turn to that of the next. */
export const turnSeconds: Quantiles = [
  [0, 20],
  [0.05, 30],
  [0.1, 42],
  [0.25, 69],
  [0.5, 123],
  [0.75, 267],
  [0.9, 483],
  [0.95, 615],
  [1, 900],
];

/** What is said in a later turn; the recording's negative differences, of prompts that were shortened, are left out. */
export const addedTokens: Quantiles = [
  [0, 1],
  [0.25, 7],
  [0.5, 24],
  [0.75, 454],
  [0.9, 4_308],
  [0.95, 7_120],
  [1, 10_000],
];

/** Conversations with so many turns. */
export const turns: readonly (readonly [count: number, turns: number])[] = [
  [5_159, 1],
  [1_301, 2],
  [460, 3],
  [199, 4],
  [117, 5],
  [55, 6],
  [27, 7],
  [26, 8],
  [58, 11],
];

export const rateWave = 0.31;
export const applicationShare = 0.3;
export const beginnings = 200;

/** A number in [0, 1). */
export function uniform(dice: Dice): number {
  return dice.below(2 ** 30) / 2 ** 30;
}

export function drawQuantile(quantiles: Quantiles, dice: Dice): number {
  const share = uniform(dice);
  for (let index = 1; index < quantiles.length; index++) {
    const [to, high] = quantiles[index] ?? [1, 0];
    const [from, low] = quantiles[index - 1] ?? [0, 0];
    if (share <= to) return Math.round(low + ((high - low) * (share - from)) / (to - from));
  }
  return quantiles.at(-1)?.[1] ?? 0;
}
