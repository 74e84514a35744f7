/** The wire shapes of one endpoint's answer, whole or in chunks. `ChatFormat` and `CompletionFormat` implement it. */
import type { Piece, ScoredToken } from "../../../contracts/choice.ts";
import type { StateReport } from "../../../contracts/state.ts";
import type { SpikeReport } from "../spike-report.ts";

/** What every object of an answer repeats. */
export interface AnswerHeader {
  readonly id: string;
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
}

export interface AnswerUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  /** Where the request asked for it. */
  readonly spikes?: SpikeReport;
  /** Where the request asked for it: of all choices together. */
  readonly state?: StateReport;
}

export interface FinishedChoice {
  readonly index: number;
  readonly text: string;
  readonly tokens: readonly ScoredToken[];
  readonly reason: "stop" | "length";
}

export interface AnswerFormat {
  /** Chunks that come before any token, one a choice. */
  opening(index: number): object | null;
  chunk(piece: Piece): object;
  closing(index: number, reason: "stop" | "length"): object;
  usage(usage: AnswerUsage): object;
  whole(choices: readonly FinishedChoice[], usage: AnswerUsage): object;
}
