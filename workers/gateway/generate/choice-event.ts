import type { SpikeCounts, SpikesByLayer } from "../../contracts/spikes.ts";
import type { StateReport } from "../../contracts/state.ts";

/** What one choice of an answer yields, in the gateway's own terms: text with the tokens it came from, then exactly one end. */

export interface ScoredToken {
  readonly id: number;
  /** Null for a prompt's first token, which nothing predicts. */
  readonly logprob: number | null;
  readonly top: readonly (readonly [tokenId: number, logprob: number])[] | null;
  /** Where the token's text begins in the choice's text, in Unicode code points (Python's string index). */
  readonly offset: number;
}

export interface Piece {
  readonly type: "piece";
  readonly index: number;
  readonly text: string;
  /** Empty unless log-probabilities were asked for. */
  readonly tokens: readonly ScoredToken[];
  /** Of everything read so far, where that is counted. */
  readonly spikes?: SpikeCounts;
  /** The newest, where it is reported. */
  readonly state?: StateReport;
}

export interface ChoiceEnd {
  readonly type: "end";
  readonly index: number;
  readonly reason: "stop" | "length";
  /** Tokens sampled: without the stop token, with those of a stop string. */
  readonly completionTokens: number;
  readonly cachedTokens: number;
  /** Where spikes are counted: by layer, unless a stop string came first. */
  readonly spikes?: SpikesByLayer;
  /** The last token's. */
  readonly spikeTotals?: SpikeCounts;
  /** The last, where it is reported. */
  readonly state?: StateReport;
}

export type ChoiceEvent = Piece | ChoiceEnd;

export function codePoints(text: string): number {
  let count = text.length;
  for (let at = 0; at < text.length - 1; at++) if (isHighSurrogate(text.charCodeAt(at)) && isLowSurrogate(text.charCodeAt(at + 1))) count--;
  return count;
}

const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit < 0xdc00;
const isLowSurrogate = (unit: number) => unit >= 0xdc00 && unit < 0xe000;
