/** Makes a state of tokens, part by part: for a document, and where a conversation's state is lost. Each part's state is kept before the next. */
import type { ModelVersion } from "../../contracts/model-version.ts";
import { greedyParameters } from "../../contracts/engine.ts";
import type { Job } from "../../contracts/choice.ts";
import { unreachable } from "../../contracts/call.ts";
import type { PoolBackend } from "../../contracts/pool.ts";
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import { fromPool } from "../calls.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import { snapshotInvalid } from "../../state-file/failures.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import { identityOf } from "../identity.ts";
import { modelKeepsNoStates } from "../failures.ts";
import { modelUnavailable, noBackend } from "../../models/failures.ts";
import { Attempts } from "./attempts.ts";
import { Meter, type MeteredWork } from "./meter.ts";
import type { AskPool } from "./pool.ts";
import { turnStates } from "./turn-states.ts";

/**
 * Tokens of one part: what is read again where an engine fails, or where the part's state gives way to others. Between two parts a state goes out
 * and in again, at the most a hundred chunks of a quarter of a mebibyte in all, which take as long as some hundred tokens: a twentieth of a part.
 */
const mostPartTokens = 2_048;

/** How many tokens a part has: also no more than half of what a backend takes in one request. @throws ServiceError while there is none, or where it keeps no states. */
export async function partTokens(pool: Pick<PoolBackend, "models">, model: ModelVersion): Promise<number> {
  const models = await fromPool(pool.models());
  const description = models.find(({ id, digest }) => id === model.id && digest === model.digest);
  if (description === undefined) throw new ServiceError(modelUnavailable(model.id, noBackend));
  if (!description.abilities.includes("states")) throw new ServiceError(modelKeepsNoStates(model.id));
  return Math.min(mostPartTokens, Math.floor(description.contextLength / 2));
}

export interface Base {
  readonly snapshot: string | null;
  readonly tokens: number;
}

export interface ReadOptions {
  readonly askPool: AskPool;
  readonly store: Pick<SnapshotStore, "open" | "put">;
  readonly model: ModelVersion;
  /** Of the whole text, as far as it is known: the first tokens, so many. */
  readonly textBefore: (tokens: number) => Uint32Array;
  /** What the reading is for. */
  readonly work: MeteredWork;
  readonly session: string;
  /** Who keeps the state of the whole, as `ownerOf` makes it. */
  readonly owner: string;
  /** How many parts came before, and whether this is the last. */
  readonly number: number;
  readonly isLast: boolean;
  readonly signal: AbortSignal;
  /** How many tokens are read altogether, as the engine tells while it reads. */
  readonly onRead?: (tokens: number) => void;
}

export type PartEnd =
  /** `letGo`: who keeps what this part's state stands in for, to be released once the new base is written down. `backend`: who has read it. */
  | { readonly outcome: "read"; readonly base: Base; readonly letGo: string; readonly backend: string | null }
  | { readonly outcome: "base lost" }
  /** The engine has read it, but there is no state to go on from. */
  | { readonly outcome: "not kept"; readonly failure: ServiceFailure };

/** Reads these tokens after `base`. @throws ServiceError where the engine fails for good. */
export async function readPart(base: Base, tokens: Uint32Array, options: ReadOptions): Promise<PartEnd> {
  const { askPool, store, model, textBefore, work, session, owner, number, isLast, signal } = options;
  const job = readingJob(session, tokens);
  const outcome = { baseIsLost: false };
  let failure = notKept();
  const states = turnStates({
    store: {
      open: (id, keep, fromPage) => store.open(id, keep, fromPage),
      put: async (order, bytes) => {
        failure = unreachable("session");
        const stored = await store.put(order, bytes);
        if (!stored.ok) failure = stored.failure;
        return stored;
      },
    },
    identity: identityOf(model),
    job,
    // Two owners keep the parts' states alternately, so that the one before is there until the next one is.
    owner: isLast ? owner : partOwner(owner, number),
    prepared: { session, turn: 0, base: { ...base, unread: new Uint32Array() }, seen: new Uint32Array() },
    tokens: (count) => Promise.resolve({ ok: true, value: textBefore(count) }),
    // Reading this part alone would make a state of something else.
    rebuild: () => {
      outcome.baseIsLost = true;
      return Promise.resolve({ ok: false, failure: snapshotInvalid("The state that this part of the text follows is no longer kept.") });
    },
    onStoreFailure: (step, cause) => {
      logLine("error", "snapshot_store_failed", { session, step, cause: typeof cause === "string" ? cause : describeCause(cause) });
    },
  });
  const meter = new Meter(work, model.id);
  // Nothing is sampled that an attempt could go on with.
  const answer = { abilities: [], sampled: [], onRetry: () => undefined };
  const attempts = new Attempts({ askPool, model, job, states, meter, signal, ...answer });
  const events = attempts.events();
  try {
    for (let next = await events.next(); next.done !== true; next = await events.next()) {
      signal.throwIfAborted();
      for (const event of next.value) if (event.type === "read") options.onRead?.(event.state.tokens);
    }
  } catch (cause) {
    if (outcome.baseIsLost) return { outcome: "base lost" };
    throw cause;
  } finally {
    // Whoever stops between two events lets go of what the backend still does.
    await events.return();
    meter.report();
  }
  const saved = await attempts.saved();
  if (saved === null) return { outcome: "not kept", failure };
  const letGo = isLast ? `${owner}${partOwnerSuffix}` : partOwner(owner, number + 1);
  const backend = attempts.placed?.backend ?? null;
  return { outcome: "read", base: { snapshot: saved.id, tokens: saved.tokens }, letGo, backend };
}

/** Stored with owners under this name. */
const partOwnerSuffix = "piece";
const partOwner = (owner: string, number: number): string => `${owner}${partOwnerSuffix}${String(number % 2)}`;

function notKept(): ServiceFailure {
  const message = "The engine did not send the state of what it has read.";
  return { code: "engine_unavailable", status: 503, message, retryable: true, retryAfterSeconds: 1 };
}

function readingJob(session: string, prompt: Uint32Array): Job {
  return {
    index: 0,
    promptIndex: 0,
    stops: [],
    echo: null,
    request: {
      ...greedyParameters,
      requestId: session,
      prompt,
      maxTokens: 0,
      reportState: true,
    },
  };
}
