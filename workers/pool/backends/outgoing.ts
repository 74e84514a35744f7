/** The stream that a caller gets of an answer that is made here: pulled, with a sign of life in silence, one terminal event, and an end at once. */
import type { GenerateEvent } from "../../contracts/engine.ts";
import { ServiceError } from "../../contracts/errors.ts";
import { encodeEvent, encodeHeartbeat, heartbeatMilliseconds } from "../../contracts/event-stream.ts";
import { within } from "../../waiting/within.ts";
import type { BackendCall } from "./contract.ts";
import { brokeOff, endedEarly } from "./failures.ts";

/** Some tokens may wait for their reader. */
const bufferBytes = 4096;

export interface OutgoingOptions {
  /** Called when the reader has left, or the answer has ended: ends whatever `events` may still wait for. */
  readonly onEnd: () => void;
  /** Whether a state follows `finish`: the stream then ends with `saved` or `unsaved`. */
  readonly endsWithState: boolean;
  readonly watch?: BackendCall["watch"] | undefined;
}

/** What `events` throws before the answer is whole is the stream's `error`; afterwards, the state that was to follow is `unsaved`. */
export function outgoing(
  events: AsyncGenerator<GenerateEvent, void, undefined>,
  { onEnd, endsWithState, watch = (all) => all }: OutgoingOptions,
): ReadableStream<Uint8Array> {
  const readerLeft = new AbortController();
  const terminated = new Terminated(watch(events, readerLeft.signal), endsWithState);
  let left = false;
  let next: Promise<IteratorResult<GenerateEvent, void>> | undefined;
  return new ReadableStream(
    {
      type: "bytes",
      async pull(controller) {
        next ??= terminated.next();
        const result = await within(next, heartbeatMilliseconds, () => undefined);
        if (left) return;
        if (result === undefined) {
          controller.enqueue(encodeHeartbeat());
          return;
        }
        next = undefined;
        if (result.done !== true) {
          controller.enqueue(encodeEvent(result.value));
          return;
        }
        onEnd();
        controller.close();
        controller.byobRequest?.respond(0);
      },
      cancel() {
        left = true;
        readerLeft.abort();
        onEnd();
        void terminated.leave();
      },
    },
    { highWaterMark: bufferBytes },
  );
}

/** Events with exactly one terminal one among them, whatever their maker does. */
class Terminated {
  readonly #events: AsyncGenerator<GenerateEvent, void, undefined>;
  readonly #endsWithState: boolean;
  /** Tokens of the whole text, once the answer is whole. */
  #finished: number | undefined;
  #over = false;

  constructor(events: AsyncGenerator<GenerateEvent, void, undefined>, endsWithState: boolean) {
    this.#events = events;
    this.#endsWithState = endsWithState;
  }

  async next(): Promise<IteratorResult<GenerateEvent, void>> {
    if (this.#over) return { done: true, value: undefined };
    const event = await this.#event();
    if (event.type === "finish") this.#finished = event.usage.promptTokens + event.usage.completionTokens;
    const stateEnds = this.#finished !== undefined && (event.type === "saved" || event.type === "unsaved");
    this.#over = event.type === "error" || stateEnds || (event.type === "finish" && !this.#endsWithState);
    if (this.#over) await this.leave();
    return { done: false, value: event };
  }

  async leave(): Promise<void> {
    await this.#events.return().catch(() => undefined);
  }

  async #event(): Promise<GenerateEvent> {
    try {
      const result = await this.#events.next();
      return result.done === true ? this.#broken(endedEarly("without a terminal event")) : result.value;
    } catch (cause) {
      return this.#broken(cause);
    }
  }

  #broken(cause: unknown): GenerateEvent {
    const failure = cause instanceof ServiceError ? cause.failure : brokeOff();
    return this.#finished === undefined ? { type: "error", failure } : { type: "unsaved", tokens: this.#finished, reason: failure.message };
  }
}
