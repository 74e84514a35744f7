/** A replica's store of states (`gpu-backend/docs/vllm-states.md`), as one request uses it: what it has made there, it removes. */
import type { GenerateEvent } from "../../contracts/engine.ts";
import { stateChunkBytes } from "../../contracts/engine.ts";
import { ServiceError } from "../../contracts/errors.ts";
import { stateRejected } from "../../contracts/request/failures.ts";
import { toBase64 } from "../../encoding/base64.ts";
import { malformed, ReplicaRefusal } from "./failures.ts";
import { boundedText, bytesOf, type ReplicaHttp } from "./replica-http.ts";
import { RunningDigest, sealed, textDigest } from "./state-bytes.ts";

export const statesPath = "/spikingbrain/states";
const handlePattern = /^[A-Za-z0-9_-]{43}$/;
/** Longest wait for a state that an answer leaves. */
const waitSeconds = 20;
const removalMilliseconds = 10_000;
const mostToldBytes = 16_384;
/** As many as a replica keeps of one state. */
const mostStateBytes = 2 ** 30;

export interface ReadText {
  readonly ids: Uint32Array;
  readonly file: ReadableStream<Uint8Array>;
}

export class ReplicaStates {
  readonly #http: ReplicaHttp;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #signal: AbortSignal;
  readonly #made: string[] = [];

  /** `tenant` is whose the states are at the replica: the request's share. */
  constructor(http: ReplicaHttp, tenant: string, signal: AbortSignal) {
    this.#http = http;
    this.#headers = { "x-spikingbrain-tenant": tenant };
    this.#signal = signal;
  }

  /** A handle without a state; null where the replica has no room for one. @throws ServiceError where it cannot be reached. */
  async handle(): Promise<string | null> {
    const response = await this.#ifRoom({ method: "POST", path: statesPath, accept: "application/json" });
    const { handle } = response === null ? {} : ((await toldBy(response)) as { readonly handle?: unknown });
    if (response === null) return null;
    if (typeof handle !== "string" || !handlePattern.test(handle)) throw malformed("a state's handle is none");
    this.#made.push(handle);
    return handle;
  }

  /**
   * Hands a state over; null where the replica has no room for one, and the file is let go.
   * @throws ServiceError `state_rejected` where the state is not one of this text and model, or breaks off.
   */
  async put({ ids, file }: ReadText): Promise<string | null> {
    const state = sealed(file);
    try {
      const handle = await this.handle();
      if (handle === null) return null;
      const headers = { ...this.#headers, "x-spikingbrain-text-sha256": await textDigest(ids), "content-type": "application/octet-stream" };
      const asked = {
        method: "PUT",
        path: `${statesPath}/${handle}`,
        query: { digest: "follows" },
        body: state.bytes,
        headerMilliseconds: Infinity,
      } as const;
      const response = await this.#ifRoom({ ...asked, headers, accept: "application/json" });
      if (response === null) return null;
      const { tokens } = (await toldBy(response)) as { readonly tokens?: unknown };
      if (tokens !== ids.length) throw new ServiceError(stateRejected(`the state must have read ${String(ids.length)} tokens; it has not`));
      return handle;
    } catch (cause) {
      if (state.broke()) throw new ServiceError(stateRejected("the state's stream broke off"));
      throw cause;
    } finally {
      state.leave();
    }
  }

  /** The state that was exported to a handle, as the events that end with `saved` or `unsaved`. `text`: all that it must have read. */
  async *saved(handle: string, text: Uint32Array, fromPage: number): AsyncGenerator<GenerateEvent, void, undefined> {
    const tokens = text.length;
    try {
      const query = { from_page: String(fromPage), wait_seconds: String(waitSeconds) };
      const asked = { method: "GET", path: `${statesPath}/${handle}`, query, headers: this.#headers } as const;
      const headerMilliseconds = 2000 * waitSeconds;
      const response = await this.#http.ask({ ...asked, accept: "application/octet-stream", headerMilliseconds }, this.#signal);
      if (response.headers.get("x-spikingbrain-text-sha256") !== (await textDigest(text))) throw malformed("its state is of another text");
      const digest = new RunningDigest();
      for await (const chunk of chunksOf(response)) {
        await digest.update(chunk);
        yield { type: "state", tokens, bytes: chunk };
      }
      const due = response.headers.get("content-digest");
      if (due !== `sha-256=:${toBase64(await digest.value())}:`) throw malformed("its state has another digest than it says");
      yield { type: "saved", tokens };
    } catch (cause) {
      if (!(cause instanceof ServiceError)) throw cause;
      yield { type: "unsaved", tokens, reason: cause.failure.message };
    }
  }

  /** Removes all that was made. A replica that does not hear of it forgets them by itself. */
  async remove(): Promise<void> {
    const signal = AbortSignal.timeout(removalMilliseconds);
    const removed = this.#made.splice(0).map(async (handle) => {
      const asked = { method: "DELETE", path: `${statesPath}/${handle}`, headers: this.#headers, accept: null } as const;
      await this.#http.ask(asked, signal);
    });
    await Promise.allSettled(removed);
  }

  async #ifRoom(asked: Parameters<ReplicaHttp["ask"]>[0]): Promise<Response | null> {
    try {
      return await this.#http.ask({ headers: this.#headers, ...asked }, this.#signal);
    } catch (cause) {
      if (!(cause instanceof ReplicaRefusal) || cause.status === 401) throw cause;
      if (cause.code !== "state_invalid") return null;
      throw new ServiceError(stateRejected("the backend refuses the state: it is not one of its model, or it is damaged"));
    }
  }
}

async function toldBy(response: Response): Promise<object> {
  try {
    const told: unknown = JSON.parse(await boundedText(response, mostToldBytes));
    if (typeof told === "object" && told !== null) return told;
  } catch (cause) {
    if (cause instanceof ServiceError) throw cause;
  }
  throw malformed("what it says of a state is not JSON");
}

/** Chunks that one event may carry, without a copy. */
async function* chunksOf(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  for await (const part of bytesOf(response)) {
    bytes += part.byteLength;
    if (bytes > mostStateBytes) throw malformed(`its state has more than ${String(mostStateBytes)} bytes`);
    for (let at = 0; at < part.byteLength; at += stateChunkBytes) yield part.subarray(at, at + stateChunkBytes);
  }
}
