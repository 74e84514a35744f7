/** Takes the states that an engine sends beside its answer and hands each to the store as a stream of bytes. */
import type { GenerateEvent } from "../../contracts/engine.ts";
import type { StoredSnapshot } from "../snapshots/contract.ts";

type StateEvent = Extract<GenerateEvent, { readonly type: "state" | "saved" | "unsaved" }>;

interface Incoming {
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly stored: Promise<StoredSnapshot | null>;
}

export class StateReceiver {
  readonly #put: (tokens: number, bytes: ReadableStream<Uint8Array>) => Promise<StoredSnapshot | null>;
  #incoming: Incoming | undefined;
  #last: Promise<StoredSnapshot | null> = Promise.resolve(null);

  constructor(put: (tokens: number, bytes: ReadableStream<Uint8Array>) => Promise<StoredSnapshot | null>) {
    this.#put = put;
  }

  /** Waits for the store where it is slower than the engine. A store that fails takes nothing from the answer. */
  async receive(event: StateEvent): Promise<void> {
    if (event.type === "unsaved") {
      await this.abort(event.reason);
      return;
    }
    if (event.type === "state") {
      const incoming = (this.#incoming ??= this.#open(event.tokens));
      await incoming.writer.write(event.bytes).catch(() => undefined);
      return;
    }
    const incoming = this.#incoming;
    this.#incoming = undefined;
    if (incoming === undefined) return;
    this.#last = incoming.stored;
    await incoming.writer.close().catch(() => undefined);
    await incoming.stored;
  }

  /** Gives up a state that will not come whole. */
  async abort(reason: string): Promise<void> {
    const incoming = this.#incoming;
    this.#incoming = undefined;
    await incoming?.writer.abort(new Error(reason)).catch(() => undefined);
  }

  /** The newest state that the store has; null without one. */
  async last(): Promise<StoredSnapshot | null> {
    return await this.#last;
  }

  #open(tokens: number): Incoming {
    const { readable, writable } = new IdentityTransformStream();
    const stored = this.#put(tokens, readable).catch(() => null);
    return { writer: writable.getWriter(), stored };
  }
}
