/** Makes a state of tokens, piece by piece: for a document, and where a conversation's state is lost. Each piece's state is kept before the next. */
import type { GenerationBackend } from "../../contracts/engine.ts";
import type { Job } from "../../contracts/choice.ts";
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import { release } from "../../contracts/release.ts";
import { describeCause, logLine } from "../../logging/log-line.ts";
import { snapshotInvalid } from "../failures.ts";
import type { ModelIdentity, SnapshotStore } from "../snapshots/contract.ts";
import { Attempts } from "../streams/attempts.ts";
import { turnMemory } from "../streams/turn-memory.ts";

/** Tokens of one piece: half a minute of reading on a slow engine is the most that a failure costs. */
const PIECE_TOKENS = 8_192;

/** How many tokens a piece has: also no more than half of what the engine takes in one request. @throws ServiceError while it is away. */
export async function pieceTokens(backend: Pick<GenerationBackend, "describe">): Promise<number> {
  const description = await backend.describe();
  release(description);
  if (!description.ok) throw new ServiceError(description.failure);
  return Math.min(PIECE_TOKENS, Math.floor(description.value.contextLength / 2));
}

export interface Base {
  readonly snapshot: string | null;
  readonly tokens: number;
}

export interface ReadOptions {
  readonly backend: Pick<GenerationBackend, "generate">;
  readonly store: Pick<SnapshotStore, "open" | "put">;
  readonly identity: ModelIdentity;
  readonly session: string;
  /** Who keeps the piece's state. */
  readonly owner: string;
  readonly signal: AbortSignal;
}

/** Reads these tokens after `base`. @throws ServiceError where the engine fails for good, or its state could not be kept. */
export async function readPiece(base: Base, tokens: Uint32Array, options: ReadOptions): Promise<Base | "base lost"> {
  const { backend, store, identity, session, owner, signal } = options;
  const job = readingJob(session, tokens);
  const outcome = { baseIsLost: false };
  const memory = turnMemory({
    store,
    identity,
    job,
    owner,
    prepared: { session, turn: 0, base: { ...base, unread: new Uint32Array() }, seen: new Uint32Array() },
    // Reading this piece alone would make a state of something else.
    rebuild: () => {
      outcome.baseIsLost = true;
      return Promise.resolve({ ok: false, failure: snapshotInvalid("The state that this piece follows is gone.") });
    },
    onStoreFailure: (step, cause) => {
      logLine("error", "snapshot_store_failed", { session, step, cause: typeof cause === "string" ? cause : describeCause(cause) });
    },
  });
  const attempts = new Attempts({ backend, job, memory, signal, sampled: [], onRetry: () => undefined });
  try {
    const events = attempts.events();
    while ((await events.next()).done !== true) signal.throwIfAborted();
  } catch (cause) {
    if (outcome.baseIsLost) return "base lost";
    throw cause;
  }
  const saved = await attempts.saved();
  if (saved === null) throw new ServiceError(notKept());
  return { snapshot: saved.id, tokens: saved.tokens };
}

function notKept(): ServiceFailure {
  const message = "The state of what was read could not be kept.";
  return { code: "engine_unavailable", status: 503, message, retryable: true, retryAfterSeconds: 1 };
}

function readingJob(session: string, prompt: Uint32Array): Job {
  return {
    index: 0,
    promptIndex: 0,
    stops: [],
    echo: null,
    request: {
      requestId: session,
      prompt,
      maxTokens: 0,
      minTokens: 0,
      stopTokens: [],
      sampling: {
        temperature: 0,
        topK: 0,
        topP: 1,
        minP: 0,
        repetitionPenalty: 1,
        presencePenalty: 0,
        frequencyPenalty: 0,
        logitBias: [],
        seed: 0,
      },
      topLogprobs: null,
      promptLogprobs: null,
    },
  };
}
