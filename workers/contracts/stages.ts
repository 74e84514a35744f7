/**
 * Stages: parts of a model that is too large for one isolate, each in a Worker of its own. The engine Worker leads: it has the requests, their
 * tokens and the choice of the next ones, and asks one stage after another for its part of each pass. What a pass carries is the engine's own
 * (`wasm/API.md`, "A part of a model").
 */

import type { SpikingMode } from "./spikes.ts";

/** From the first to before the last. */
export type Span = readonly [from: number, to: number];

/** What an engine holds of a model: rows of the vocabulary, and layers by halves, `2 l` the mixer and `2 l + 1` the feed-forward of layer `l`. */
export interface Cut {
  readonly embedding: Span;
  readonly sublayers: Span;
  readonly head: Span;
}

/** Why a stage did not do its part. The engine's codes, and `restarted`: it is not the one that was joined, and has no states. */
export interface StageFailure {
  readonly code: string;
  readonly message: string;
}

export type StageAnswer<T> =
  | { readonly ok: true; readonly value: T; /** Bytes that states may still take there. */ readonly freeStateBytes: number }
  | { readonly ok: false; readonly failure: StageFailure };

export interface StageWelcome {
  /** To be given with every call: a stage that has begun anew, or has another leader, has another one. */
  readonly epoch: string;
  /** Most tokens of a pass. */
  readonly passTokens: number;
  /** The learned sinks' rows as this stage leaves them; empty where there are none. */
  readonly learnedSinks: Uint8Array;
  /** What it holds. */
  readonly holds: StageHolding;
}

/** A part of a model, and of which: leader and stages are deployed one after another, and may be of two versions for a while. */
export interface StageHolding {
  readonly cut: Cut;
  /** sha256 of the weights file, hex. */
  readonly model: string;
  readonly spikes: SpikingMode;
}

/** Sequences are named as the leading engine names them. Calls take effect in the order in which they are made on one stub. */
export interface StageCalls {
  /** Loads what the stage holds, and forgets every sequence of an earlier leader. `owner`: a whole number below 2^53 that tells leaders apart. */
  join(owner: number, learnedSinks: Uint8Array): Promise<StageAnswer<StageWelcome>>;
  /** The stage's layers. */
  pass(epoch: string, message: Uint8Array): Promise<StageAnswer<Uint8Array>>;
  /** Rows of the embedding, of those of the pass's tokens that lie here. */
  embed(epoch: string, message: Uint8Array): Promise<StageAnswer<Uint8Array>>;
  /** Logits over the rows of the head that lie here, of at most {@link mostLogitRows} of the wanted tokens. */
  logits(epoch: string, message: Uint8Array, first: number, count: number): Promise<StageAnswer<Uint8Array>>;
  fork(epoch: string, from: number, to: number): Promise<StageAnswer<null>>;
  forget(epoch: string, sequences: readonly number[]): Promise<StageAnswer<null>>;
  /** What the answer says of memory is all that is asked: a stage's isolate may have other leaders' states too. */
  measure(epoch: string): Promise<StageAnswer<null>>;
  /** The header of the state's file and the stage's bytes of it. `mode` is the engine's. */
  save(epoch: string, sequence: number, fromPage: number, mode: string): Promise<StageAnswer<ReadableStream<Uint8Array>>>;
  /** Takes in the same; how many tokens the state has read. */
  restore(epoch: string, sequence: number, bytes: ReadableStream<Uint8Array>): Promise<StageAnswer<number>>;
}

export const mostLogitRows = 16;
