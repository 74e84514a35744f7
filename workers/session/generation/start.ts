/** Where the reading of a prompt starts: at a stored state, or at nothing. */
import type { CacheReport } from "../../contracts/cache-report.ts";
import type { StoredSnapshot } from "../snapshots/contract.ts";

export interface Start {
  /** Tokens whose state is there. */
  readonly tokens: number;
  /** Tokens to read, those after the state. */
  readonly prompt: Uint32Array;
  /** The snapshot that holds the state; null at nothing. */
  readonly snapshot: string | null;
  /** Ids of the state's tokens, for a repetition penalty. */
  readonly seen: Uint32Array;
  readonly report: CacheReport;
}

/** The states of a generation: the one that it starts from, and those that it keeps. */
export interface States {
  /** Where to start; never fails, because a store that does costs time only. */
  start(): Promise<Start>;
  /** The start's state as bytes, without rows in pages before `fromPage`; throws where it is gone or can't be reached. */
  open(start: Start, fromPage: number): Promise<ReadableStream<Uint8Array>>;
  /** Ids of the tokens that the start's state has read; throws where they can't be had. */
  tokens(start: Start): Promise<Uint32Array>;
  /** Another start, because that one's state was of no use. */
  without(start: Start, reason: string): Promise<Start>;
  /** States to keep on the way and at the end; null for none. */
  readonly keeps: { readonly at: readonly number[]; readonly end: boolean } | null;
  /** Stores a state; `null` where that did not work, which is logged and costs time later. */
  put(start: Start, tokens: number, answer: readonly number[], bytes: ReadableStream<Uint8Array>): Promise<StoredSnapshot | null>;
}

export function coldStart(prompt: Uint32Array, outcome: "miss" | "rejected", reason: string): Start {
  return { tokens: 0, prompt, snapshot: null, seen: new Uint32Array(), report: { outcome, tokens: 0, reason } };
}
