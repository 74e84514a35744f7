/**
 * How the pool asks one of its backends, whatever it speaks: token ids in, events out. A backend is a sibling here for each kind, and
 * `test/contract` holds all of them to one suite.
 */
import type { Outcome } from "../../contracts/outcome.ts";
import type { GenerateEvent, GenerateRequest, ModelDescription } from "../../contracts/engine.ts";
import type { AccessToken } from "../registry/replica-keys.ts";
import type { Replica } from "../replica.ts";

export interface BackendCall {
  /** Whom to ask; its address has been checked when it came into the pool. */
  readonly replica: Pick<Replica, "name" | "address">;
  /** The asked model as this replica has it: what it can is held to this. */
  readonly model: ModelDescription;
  /** What the replica knows the pool by; null where it asks for no key. It goes into one header and nowhere else. */
  readonly key: string | null;
  /** What lets the pool through Cloudflare Access to it; null where nothing stands before it. It goes into two headers and nowhere else. */
  readonly access?: AccessToken | null;
  readonly request: GenerateRequest;
  /** Ends the request at the replica at once, as long as `generate` runs; then its caller has the stream, and cancels that. */
  readonly signal: AbortSignal;
  /**
   * What the answer's events go through before they are bytes: it hands on the same ones, and may throw in a late one's place. The engine's bytes
   * are handed on as they are, so there it sees none. `readerLeft` is aborted before what a reader that leaves makes of the events.
   */
  readonly watch?: (events: EventBatches, readerLeft: AbortSignal) => EventBatches;
}

/** Those events together that came together, never none: a step for each event would cost more than the event. */
export type EventBatches = AsyncGenerator<readonly GenerateEvent[], void, undefined>;

export interface ReplicaBackend {
  /**
   * Refusals known before the first token come as `ok: false`; everything later, and whatever a replica says that cannot be, is the stream's one
   * `error` event. The bytes are events as written by `encodeEvent`, with an empty line after every {@link heartbeatMilliseconds} of silence.
   */
  generate(call: BackendCall): Promise<Outcome<ReadableStream<Uint8Array>>>;
}

/** Where requests to replicas go: the runtime's own `fetch`, or that of a private network's binding. */
export type Network = (request: Request) => Promise<Response>;

/**
 * What a replica that is asked over HTTP can do of a model: it counts no spikes, and does not tell what a state takes while it answers. Whoever
 * takes a replica's word for its models leaves both out, so that no request which needs them is planned for it.
 */
export function offeredOverHttp({ spikes: _spikes, state: _state, ...model }: ModelDescription): ModelDescription {
  return model;
}
