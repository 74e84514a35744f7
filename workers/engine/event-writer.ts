/** The writing end of one generation's event stream: pull-driven, with one terminal event and a reader that may leave at any time. */
import type { GenerateEvent } from "../contracts/engine.ts";
import { encodeEvent, encodeHeartbeat, heartbeatMilliseconds } from "../contracts/event-stream.ts";

/** Bytes that may wait for the reader before its sequence stops being computed: some 60 tokens. */
export const streamBufferBytes = 4096;

export interface ReaderEvents {
  /** The reader wants more. */
  onDrain(): void;
  /** The reader has gone; no event will reach it. */
  onCancel(): void;
}

export class EventWriter {
  readonly stream: ReadableStream<Uint8Array>;
  #controller: ReadableByteStreamController | undefined;
  readonly #endsWithState: boolean;
  #finished = false;
  #closed = false;
  #silentSince: number | undefined;

  /** `endsWithState`: a state follows the answer's end, and the stream ends with that. */
  constructor(events: ReaderEvents, endsWithState = false) {
    this.#endsWithState = endsWithState;
    this.stream = new ReadableStream(
      {
        type: "bytes",
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          events.onDrain();
        },
        cancel: () => {
          this.#closed = true;
          events.onCancel();
        },
      },
      { highWaterMark: streamBufferBytes },
    );
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the reader keeps up. */
  get wantsMore(): boolean {
    return !this.#closed && (this.#controller?.desiredSize ?? 0) > 0;
  }

  /** Breaks a long silence; only by writing does an RPC stream's end learn that its reader has gone. Milliseconds. */
  heartbeat(now: number): void {
    this.#silentSince ??= now;
    if (!this.wantsMore || now - this.#silentSince < heartbeatMilliseconds) return;
    this.#silentSince = now;
    this.#controller?.enqueue(encodeHeartbeat());
  }

  send(event: GenerateEvent): void {
    if (this.#closed) return;
    this.#silentSince = undefined;
    this.#controller?.enqueue(encodeEvent(event));
    const stateEnds = this.#finished && (event.type === "saved" || event.type === "unsaved");
    if (event.type === "finish") this.#finished = true;
    if (event.type !== "error" && !stateEnds && (event.type !== "finish" || this.#endsWithState)) return;
    this.#closed = true;
    this.#controller?.close();
  }
}
