/** The wire shapes of one endpoint's answer, whole or as events of a stream: formats are siblings of this file. */
import type { ChoiceFinish } from "../../../contracts/finish.ts";
import type { Delta, DeltaContent, PlacementReport, ScoredToken } from "../../../contracts/choice.ts";
import type { ServiceFailure } from "../../../contracts/errors.ts";
import type { FunctionCall } from "../../../contracts/transcript.ts";
import type { StreamDone } from "../../../contracts/session.ts";
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
  /** Functions that it calls, in order. */
  readonly calls: readonly FunctionCall[];
  readonly tokens: readonly ScoredToken[];
  /** Where they were scored. */
  readonly scoredPrompt?: readonly ScoredToken[];
  /** The prompt's ids, where they were asked for. */
  readonly prompt?: readonly number[];
  /** All of it, as it came. */
  readonly contents: readonly DeltaContent[];
  readonly reason: ChoiceFinish;
  /** The stop string that ended it, where one did. */
  readonly stop?: string;
  /** Where the request asked for them. */
  readonly placements?: readonly PlacementReport[];
}

/** One event of a stream. */
export interface FormatEvent {
  /** The `event` field, for formats whose events have names. */
  readonly name?: string;
  readonly data: object;
}

/** Each gives any number of events, in order; what a stream begins and ends with is asked for once. */
export interface AnswerFormat {
  /** What clients that come back say where they were by: the number of an entry, as the event's id, or that of an event in its data, from 0. */
  readonly numbers: "entries" | "events";
  /** What comes before any token, for each choice. */
  opening(index: number): readonly FormatEvent[];
  delta(delta: Delta): readonly FormatEvent[];
  /** `stop` is the stop string that ended it, where one did. */
  closing(index: number, reason: ChoiceFinish, stop?: string): readonly FormatEvent[];
  done(usage: AnswerUsage, end: StreamDone): readonly FormatEvent[];
  /** Of an answer that broke off: undefined where its stream breaks with it. */
  failed?(failure: ServiceFailure, usage: AnswerUsage): readonly FormatEvent[];
  /** Of a stream that breaks. Formats that have it end in an event that says so, without `[DONE]`. */
  readonly broken?: (failure: ServiceFailure) => FormatEvent;
  /** Of a whole answer that breaks off, where it is another than `{"error": …}`. */
  readonly errorBody?: (failure: ServiceFailure) => object;
  whole(choices: readonly FinishedChoice[], usage: AnswerUsage, end: StreamDone): object;
}

export const unnamed = (data: object): readonly FormatEvent[] => [{ data }];
