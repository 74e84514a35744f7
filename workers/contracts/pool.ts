/**
 * The pool Worker's RPC surface: it knows the replicas and the WASM engine, plans where a request runs, and says where each ran. Failures come
 * as `ok: false`. Going on elsewhere in the middle of an answer is the caller's part: it asks again, and names those that have failed.
 */
import type { Caller } from "./caller.ts";
import type { Outcome } from "./outcome.ts";
import type { GenerateRequest, ModelDescription } from "./engine.ts";

/** What a plan goes by beside the request itself. */
export interface PlacementWishes {
  /**
   * Opaque, at most 64 characters: requests of one conversation, or with the same beginning, have the same. Where there is a choice they go to
   * the same replica, whose caches may hold what they repeat. Null: nothing is expected to repeat.
   */
  readonly affinity: string | null;
  /**
   * Name of the backend that the conversation's last answer, or the last part of this one, ran at: its caches hold the state. Left out or null
   * where there is none.
   */
  readonly stateAt?: string | null;
  /** Names of backends that this answer has failed at: asked again only where nothing else is left. */
  readonly avoid: readonly string[];
  /** The data centre that took the request, where the runtime tells. */
  readonly place: string | null;
  /** Whether a second backend is asked where the first is slow with its first token. The slower one is cancelled. */
  readonly hedge: boolean;
}

/** `engine` is the WASM engine's Worker. */
export type BackendKind = "engine" | "vllm" | "openai";

/** Where an answer, or a part of it, runs. */
export interface Placed {
  /** Unique among the pool's backends; an opaque name, which tells clients no address. */
  readonly backend: string;
  readonly kind: BackendKind;
  /** Why this one, a few words each; for administrators. */
  readonly reasons: readonly string[];
}

export interface PlacedStream {
  readonly placed: Placed;
  /** Events as written by `encodeEvent` (`event-stream.ts`). */
  readonly events: ReadableStream<Uint8Array>;
  /** Where the request's state was not taken, because the backend moves none: how many tokens it reads in its place, the prompt's with them. */
  readonly reread?: number;
}

/** Whether a model can answer now. */
export interface ModelAvailability {
  readonly id: string;
  /** `ready`: a backend has its weights in memory. `cold`: one answers, after loading them. `unavailable`: none. */
  readonly status: "ready" | "cold" | "unavailable";
  /** For people: why it is not ready; empty where it is. */
  readonly reason: string;
  /** Kinds of backends that have it now. */
  readonly kinds: readonly BackendKind[];
}

/** What a replica's node sends, as it came: the pool checks it (`workers/pool/registry`). */
export interface NodeMessage {
  /** The HTTP request's method and path, which the signature covers. */
  readonly method: string;
  readonly path: string;
  /** `x-spikingbrain-node`, `-timestamp`, `-nonce` and `-signature`; null where one is missing. */
  readonly node: string | null;
  readonly timestamp: string | null;
  readonly nonce: string | null;
  readonly signature: string | null;
  /** At most 64 KiB. */
  readonly body: Uint8Array;
}

/** What a node is answered. */
export interface NodeReply {
  /** Seconds after which the next message is due. */
  readonly heartbeatSeconds: number;
  /** Seconds without a message after which the replica gets no more work. */
  readonly expirySeconds: number;
  /** The replica's place in the pool: whether it gets work. */
  readonly status: "taken" | "draining" | "removed";
}

export interface PoolBackend {
  /** Models that a backend answers with now: of several versions of one id, first that which more weight of replicas serves. */
  models(): Promise<Outcome<readonly ModelDescription[]>>;
  /** Of every model that a backend has or that is asked for by id. */
  availability(ids: readonly string[]): Promise<Outcome<readonly ModelAvailability[]>>;
  /** Whether this model, or any where null, can answer; makes one token with the WASM engine where no replica is ready. */
  ready(model: string | null): Promise<Outcome<null>>;
  /**
   * Plans and begins. Refusals known before the first token come as `ok: false`. Cancelling the stream stops the work within one token. Where it
   * waits for room, it waits only as long as its `caller`, who is taken to wait where none is given.
   */
  run(request: GenerateRequest, wishes: PlacementWishes, caller?: Caller): Promise<Outcome<PlacedStream>>;
  /** Registers a replica, or is its heartbeat or its farewell. */
  tell(message: NodeMessage): Promise<Outcome<NodeReply>>;
}
