/** The stream that a caller gets of an answer that is made here: pulled, with a sign of life in silence, one terminal event, and an end at once. */
import type { GenerateEvent } from "../../contracts/engine.ts";
import { ServiceError } from "../../contracts/errors.ts";
import { encodeEvents, encodeHeartbeat, heartbeatMilliseconds } from "../../contracts/event-stream.ts";
import { Waits } from "../../waiting/waits.ts";
import type { BackendCall, EventBatches } from "./contract.ts";
import { brokeOff, endedEarly } from "./failures.ts";

/** Some tokens may wait for their reader. */
const bufferBytes = 4096;
/**
 * Tokens that come faster than this one after another go on together: a chunk passes through four Workers on its way, and costs each of them far
 * more than a token does. A first token waits for nothing, nor does an end; a model with a token every ten milliseconds is not held up at all while
 * a few streams run. Of many streams each waits a little longer, so that their chunks together cost the same as those of a few: otherwise each
 * stream more makes all others slower until no two tokens of one come together.
 */
const chunkMilliseconds = { least: 10, ofStream: 2, most: 100 } as const;

/** That run in this isolate. */
let streams = 0;

const chunkTime = (): number => Math.min(chunkMilliseconds.most, Math.max(chunkMilliseconds.least, chunkMilliseconds.ofStream * streams));

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
  const gathered = new Gathered(new Terminated(watch(events, readerLeft.signal), endsWithState));
  let left = false;
  let isCounted = true;
  streams++;
  const end = () => {
    if (isCounted) streams--;
    isCounted = false;
    gathered.stop();
    onEnd();
  };
  return new ReadableStream(
    {
      type: "bytes",
      async pull(controller) {
        const next = await gathered.next();
        if (left) return;
        if (next !== "end") {
          controller.enqueue(next === "silence" ? encodeHeartbeat() : encodeEvents(next));
          return;
        }
        end();
        controller.close();
        controller.byobRequest?.respond(0);
      },
      cancel() {
        left = true;
        readerLeft.abort();
        end();
        void gathered.leave();
      },
    },
    { highWaterMark: bufferBytes },
  );
}

/** Events as they go on: those together that came almost together. */
class Gathered {
  readonly #terminated: Terminated;
  readonly #waits = new Waits();
  #pending: Promise<readonly GenerateEvent[] | undefined> | undefined;
  /** When the last went on; Unix milliseconds. */
  #last = Number.NEGATIVE_INFINITY;

  constructor(terminated: Terminated) {
    this.#terminated = terminated;
  }

  /** `silence`: none has come for a while. */
  async next(): Promise<readonly GenerateEvent[] | "silence" | "end"> {
    const first = await this.#within(heartbeatMilliseconds);
    if (typeof first === "string") return first;
    const events = [...first];
    const since = Date.now();
    const milliseconds = chunkTime();
    const due = Math.min(this.#last + milliseconds, since + milliseconds);
    for (let now = since; now < due && now >= since && events.at(-1)?.type === "token"; now = Date.now()) {
      const more = await this.#within(due - now);
      if (typeof more === "string") break;
      events.push(...more);
    }
    this.#last = Date.now();
    return events;
  }

  stop(): void {
    this.#waits.stop();
  }

  async leave(): Promise<void> {
    await this.#terminated.leave();
  }

  async #within(milliseconds: number): Promise<readonly GenerateEvent[] | "silence" | "end"> {
    this.#pending ??= this.#terminated.next();
    const events = await this.#waits.within(this.#pending, milliseconds, () => "silence" as const);
    if (events === "silence") return events;
    // After the end there is nothing else.
    if (events !== undefined) this.#pending = undefined;
    return events ?? "end";
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

  /** Undefined after the terminal one. */
  async next(): Promise<readonly GenerateEvent[] | undefined> {
    if (this.#over) return undefined;
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
