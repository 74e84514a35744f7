/**
 * One choice of an answer, as it is ordered and as it comes: text with the tokens it came from, then exactly one end. The gateway makes the
 * order and the wire format; the session Worker makes the text, because an answer goes on when its client, and with it the gateway, has gone.
 */
import type { ChoiceFinish } from "./finish.ts";
import type { GenerateRequest } from "./engine.ts";
import type { Placed } from "./pool.ts";
import type { SpikeCounts, SpikesByLayer } from "./spikes.ts";
import type { StateReport } from "./state.ts";

export interface Job {
  /** The choice's `index` in the answer. */
  readonly index: number;
  /** Which prompt it continues. */
  readonly promptIndex: number;
  /** All that a backend is asked but by which model, and from and to which states. */
  readonly request: Omit<GenerateRequest, "model" | "resume" | "save">;
  /** Strings that end the answer and are not part of it. */
  readonly stops: readonly string[];
  /** The prompt's text where the answer repeats it. */
  readonly echo: string | null;
  /** Whether its deltas and its end say where it runs; not where it is left out. */
  readonly reportPlacement?: boolean;
  /** Whether its deltas say the ids of tokens, the prompt's in the first of them; not where it is left out. */
  readonly tellTokens?: boolean;
  /** Where its text may hold calls of functions, which its request's constraint then lets it: what their ids begin with. All is text where it is left out. */
  readonly calls?: { readonly id: string };
}

/** Where a part of an answer runs. */
export interface PlacementReport extends Pick<Placed, "backend" | "kind"> {
  /** Tokens of the answer that came before this part. */
  readonly fromToken: number;
}

export interface ScoredToken {
  readonly id: number;
  /** Null for a prompt's first token, which nothing predicts, and where none were asked for. */
  readonly logprob: number | null;
  readonly top: readonly (readonly [tokenId: number, logprob: number])[] | null;
  /** Where the token's text begins in the choice's text, in Unicode code points (Python's string index). */
  readonly offset: number;
}

/** What a delta adds to its choice. */
export type DeltaContent = TextContent | CallContent;

export interface TextContent {
  readonly kind: "text";
  readonly text: string;
  /** Empty unless log-probabilities or ids were asked for. */
  readonly tokens: readonly ScoredToken[];
  /** Those of the prompt, where it was to be scored: in one delta. */
  readonly scoredPrompt?: readonly ScoredToken[];
  /** The prompt's ids, where they were asked for: in the first delta. */
  readonly prompt?: readonly number[];
}

/** Of a call of a function. Its first delta names it and has no arguments; those that follow have the text of its arguments, in parts. */
export interface CallContent {
  readonly kind: "call";
  /** Its place among the choice's calls, from 0. */
  readonly call: number;
  readonly begun?: { readonly id: string; readonly name: string };
  readonly arguments: string;
  /** Empty unless log-probabilities were asked for: of all that the model wrote, so that together with the text's none is left out. */
  readonly tokens: readonly ScoredToken[];
}

/** What a delta says beside calls. */
export const textOf = (content: DeltaContent): string => (content.kind === "text" ? content.text : "");

/** A part of a choice. */
export interface Delta {
  readonly type: "delta";
  readonly index: number;
  readonly content: DeltaContent;
  /** Of everything read so far, where that is counted. */
  readonly spikes?: SpikeCounts;
  /** The newest, where it is reported. */
  readonly state?: StateReport;
  /** Where it is reported: with the first delta that a backend brings, and before that as soon as it is known. */
  readonly placement?: PlacementReport;
}

export interface ChoiceEnd {
  readonly type: "end";
  readonly index: number;
  readonly reason: ChoiceFinish;
  /** The stop string that ended it, where one did. */
  readonly stop?: string;
  /** Tokens sampled: without the stop token, with those of a stop string. */
  readonly completionTokens: number;
  /** Tokens before the answer, those that were not read again included. */
  readonly promptTokens: number;
  /** Prompt tokens that were not read again, because their state was there. */
  readonly cachedTokens: number;
  /** Where spikes are counted: by layer, unless a stop string came first. */
  readonly spikes?: SpikesByLayer;
  /** The last token's. */
  readonly spikeTotals?: SpikeCounts;
  /** The last, where it is reported. */
  readonly state?: StateReport;
  /** In order, where they are reported. */
  readonly placements?: readonly PlacementReport[];
}

export type ChoiceEvent = Delta | ChoiceEnd;
