/** The stream that a caller gets of an answer that is made here: pulled, with a sign of life in silence, one terminal event, and an end at once. */
import type { GenerateEvent } from "../../contracts/engine.ts";
import { ServiceError } from "../../contracts/errors.ts";
import { encodeEvents, encodeHeartbeat, heartbeatMilliseconds } from "../../contracts/event-stream.ts";
import { Waits } from "../../waiting/waits.ts";
import type { BackendCall, EventBatches } from "./contract.ts";
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
  events: EventBatches,
  { onEnd, endsWithState, watch = (all) => all }: OutgoingOptions,
): ReadableStream<Uint8Array> {
  const readerLeft = new AbortController();
  const lively = new Lively(new Terminated(watch(events, readerLeft.signal), endsWithState));
  let left = false;
  const end = () => {
    lively.stop();
    onEnd();
  };
  return new ReadableStream(
    {
      type: "bytes",
      async pull(controller) {
        const next = await lively.next();
        if (left) return;
        controller.enqueue(next === "silence" ? encodeHeartbeat() : encodeEvents(next));
        if (!lively.isOver) return;
        // With the terminal event, not at another pull: each is an entry into the isolate.
        end();
        controller.close();
        controller.byobRequest?.respond(0);
      },
      cancel() {
        left = true;
        readerLeft.abort();
        end();
        void lively.leave();
      },
    },
    { highWaterMark: bufferBytes },
  );
}

/** Events as they come, and signs of life between them. */
class Lively {
  readonly #terminated: Terminated;
  readonly #waits = new Waits();
  #pending: Promise<readonly GenerateEvent[]> | undefined;

  constructor(terminated: Terminated) {
    this.#terminated = terminated;
  }

  /** `silence`: none has come for a while. */
  async next(): Promise<readonly GenerateEvent[] | "silence"> {
    this.#pending ??= this.#terminated.next();
    const events = await this.#waits.within(this.#pending, heartbeatMilliseconds, () => "silence" as const);
    if (events !== "silence") this.#pending = undefined;
    return events;
  }

  /** Whether the terminal event has been given. */
  get isOver(): boolean {
    return this.#pending === undefined && this.#terminated.isOver;
  }

  stop(): void {
    this.#waits.stop();
  }

  async leave(): Promise<void> {
    await this.#terminated.leave();
  }
}

/** Events with exactly one terminal one among them, whatever their maker does. */
class Terminated {
  readonly #events: EventBatches;
  readonly #endsWithState: boolean;
  /** Tokens of the whole text, once the answer is whole. */
  #finished: number | undefined;
  #over = false;

  constructor(events: EventBatches, endsWithState: boolean) {
    this.#events = events;
    this.#endsWithState = endsWithState;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Not to be asked once it is over. */
  async next(): Promise<readonly GenerateEvent[]> {
    const events = await this.#batch();
    const last = events.findIndex((event) => this.#ends(event));
    if (last < 0) return events;
    this.#over = true;
    await this.leave();
    return events.slice(0, last + 1);
  }

  async leave(): Promise<void> {
    await this.#events.return().catch(() => undefined);
  }

  #ends(event: GenerateEvent): boolean {
    if (event.type === "finish") this.#finished = event.usage.promptTokens + event.usage.completionTokens;
    const stateEnds = this.#finished !== undefined && (event.type === "saved" || event.type === "unsaved");
    return event.type === "error" || stateEnds || (event.type === "finish" && !this.#endsWithState);
  }

  async #batch(): Promise<readonly GenerateEvent[]> {
    try {
      const result = await this.#events.next();
      return result.done === true ? [this.#broken(endedEarly("without a terminal event"))] : result.value;
    } catch (cause) {
      return [this.#broken(cause)];
    }
  }

  #broken(cause: unknown): GenerateEvent {
    const failure = cause instanceof ServiceError ? cause.failure : brokeOff();
    return this.#finished === undefined ? { type: "error", failure } : { type: "unsaved", tokens: this.#finished, reason: failure.message };
  }
}
