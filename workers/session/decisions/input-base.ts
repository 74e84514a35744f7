/** The state of what is asked about: found, or made by reading it once, and held as long as questions start from it. */
import type { DecisionOrder } from "../../contracts/decisions.ts";
import { greedyParameters } from "../../contracts/engine.ts";
import type { Job } from "../../contracts/choice.ts";
import type { CacheReport } from "../../contracts/cache-report.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import { Attempts } from "../generation/attempts.ts";
import type { Meter } from "../generation/meter.ts";
import type { AskPool } from "../generation/pool.ts";
import { PromptStates } from "../generation/prompt-states.ts";
import { coldStart, type Start, type States } from "../generation/start.ts";
import { identityOf } from "../identity.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";

type Store = Pick<SnapshotStore, "find" | "open" | "put">;

/** Where every question starts. */
export interface InputBase {
  /** What the state has read; all of the input where there is no state. */
  readonly tokens: Uint32Array;
  /** The state, in `store`; null where there is none, and each question reads the input again. */
  readonly snapshot: string | null;
  /** Tokens of the input that the state has not read. */
  readonly unread: Uint32Array;
  readonly store: Pick<SnapshotStore, "open">;
  /** Tokens of the input whose state was there before. */
  readonly cachedTokens: number;
  readonly writtenTokens: number;
  readonly cache: CacheReport;
}

export interface ReadInput {
  readonly order: DecisionOrder;
  readonly askPool: AskPool;
  readonly store: Store;
  /** Whether the store keeps what it is given for later requests. */
  readonly isKept: boolean;
  readonly meter: Meter;
  readonly signal: AbortSignal;
  /** Once a backend has taken it to read. */
  readonly onBegun: (cache: CacheReport) => void;
}

/**
 * Reads the input as far as no state of it is there. @throws ServiceError where the engine fails for good.
 * @param next A token that follows the input, so that a state of all of the input may be found.
 */
export async function readInput(tokens: Uint32Array, next: number, options: ReadInput): Promise<InputBase> {
  const { order, askPool, store, isKept, meter, signal, onBegun } = options;
  const found = new PromptStates({
    ...{ store, identity: identityOf(order.model), tenant: order.tenant ?? "", onTheWay: false },
    job: readingJob(order.requestId, Uint32Array.from([...tokens, next])),
    onStoreFailure: (step, cause) => {
      const what = typeof cause === "string" ? cause : describeCause(cause);
      logLine("error", "snapshot_store_failed", { stream: order.requestId, step, cause: what });
    },
  });
  const first = await found.start();
  const base = { store, cache: first.report };
  if (first.tokens === tokens.length)
    return { ...base, tokens, snapshot: first.snapshot, unread: new Uint32Array(), cachedTokens: first.tokens, writtenTokens: 0 };
  const attempts = new Attempts({
    ...{ askPool, model: order.model, job: readingJob(order.requestId, tokens), states: endOf(tokens, first, found) },
    ...{ meter, signal, abilities: order.abilities, sampled: [], onRetry: () => undefined },
  });
  const events = attempts.events();
  try {
    for (let batch = await events.next(); batch.done !== true; batch = await events.next()) {
      signal.throwIfAborted();
      for (const { type } of batch.value) if (type === "placed") onBegun(attempts.report ?? first.report);
    }
  } finally {
    // Whoever stops between two events lets go of what the backend still does.
    await events.return();
  }
  const saved = await attempts.saved();
  const cache = attempts.report ?? first.report;
  const read = { store, cache, cachedTokens: cache.tokens };
  if (saved === null) return { ...read, tokens: new Uint32Array(), snapshot: null, unread: tokens, writtenTokens: 0 };
  const writtenTokens = isKept ? saved.tokens - cache.tokens : 0;
  return { ...read, tokens: tokens.subarray(0, saved.tokens), snapshot: saved.id, unread: tokens.subarray(saved.tokens), writtenTokens };
}

/** The state of the whole input is kept, although nothing is answered. */
function endOf(tokens: Uint32Array, first: Start, found: PromptStates): States {
  return {
    keeps: { at: [], end: true },
    start: () => Promise.resolve({ ...first, prompt: tokens.subarray(first.tokens) }),
    open: (start, fromPage) => found.open(start, fromPage),
    tokens: (start) => found.tokens(start),
    without: (_start, reason) => Promise.resolve(coldStart(tokens, "rejected", reason)),
    put: (start, count, _answer, bytes) => found.put(start, count, [], bytes),
  };
}

function readingJob(requestId: string, prompt: Uint32Array): Job {
  return { index: 0, promptIndex: 0, stops: [], echo: null, request: { ...greedyParameters, requestId, prompt, maxTokens: 0 } };
}
