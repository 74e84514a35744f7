/**
 * The one writer of an event stream's bytes. Bytes are made only when the runtime asks for them, so a client that reads slowly
 * slows the engine down instead of filling memory. The stream ends in exactly one of three ways: `[DONE]`, or an event that says the same, and a
 * clean end; an error event and a broken end; or the client's own abort.
 */
import type { ServiceFailure } from "../../contracts/errors.ts";
import { errorBody } from "../error-body.ts";
import { asServiceError, cancelled } from "../failures.ts";
import { BrokenEnd } from "./broken-end.ts";
import { Waits } from "../../waiting/waits.ts";

export interface SseEvent {
  /** What a client that comes back sends as `Last-Event-ID`; left out where there is no coming back to. */
  readonly id?: string;
  /** The `event` field; most streams have none. */
  readonly name?: string;
  readonly data: object;
}

/** Those events together that came together, never none. */
export type SseBatch = readonly SseEvent[];

/** `last`: nothing comes after these, so that the stream's end is written with them. */
export type SseBatches = AsyncGenerator<SseBatch | { readonly last: SseBatch }, void, undefined>;

export interface EventStreamOptions {
  /** Silence after which a comment shows clients and proxies that the stream lives. */
  readonly keepAliveMilliseconds: number;
  /** Frees the source at once, even from a read that never returns. */
  readonly abort: AbortController;
  readonly onFailure: (failure: ServiceFailure, cause: unknown) => void;
  /** Where it is another than `{"error": …}`. */
  readonly failureEvent?: (failure: ServiceFailure) => SseEvent;
  /** Whether `[DONE]` follows the last event, which it does where it is left out. */
  readonly endsInDone?: boolean;
  /** What is known before anything comes, and is written at once. */
  readonly opening?: SseBatch;
  /** Whether the first events are there already: the opening is written with them then. */
  readonly isBegun?: boolean;
}

export const eventStreamHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;

/** Bytes made anew each time: a byte stream takes the buffer it is given away from the giver. */
const encode = (text: string) => new TextEncoder().encode(text);
/** A comment without a blank line: some readers take any blank line for the end of an event, and an event without data for a broken one. */
const keepAlive = ": keep-alive\n";

export function eventStream(payloads: SseBatches, options: EventStreamOptions): ReadableStream<Uint8Array> {
  let outstanding: ReturnType<SseBatches["next"]> | null = null;
  let broken: Error | null = null;
  let finished = false;
  let gone = false;
  const end = new BrokenEnd(keepAlive);
  const waits = new Waits();

  const close = (controller: ReadableByteStreamController) => {
    waits.stop();
    controller.close();
    // A reader that brought its own buffer gets it back.
    controller.byobRequest?.respond(0);
  };
  const done = options.endsInDone === false ? "" : "data: [DONE]\n\n";
  let opening = keepAlive + (options.opening ?? []).map(written).join("");
  /** Once. */
  const takeOpening = (): string => {
    const text = opening;
    opening = "";
    return text;
  };
  /** Empty where nothing but the end is left. */
  const nextText = async (): Promise<string> => {
    outstanding ??= payloads.next();
    const result = await waits.within(outstanding, options.keepAliveMilliseconds, () => null);
    if (result === null) return keepAlive;
    outstanding = null;
    if (result.done === true) {
      finished = true;
      return done;
    }
    if (!("last" in result.value)) return result.value.map(written).join("");
    finished = true;
    void payloads.return().catch(() => undefined);
    return result.value.last.map(written).join("") + done;
  };
  const failureText = (cause: unknown): string => {
    const error = asServiceError(cause);
    broken = error;
    waits.stop();
    options.onFailure(error.failure, cause);
    return written(options.failureEvent?.(error.failure) ?? { data: errorBody(error.failure) });
  };

  return new ReadableStream({
    type: "bytes",
    start(controller) {
      if (options.isBegun !== true) controller.enqueue(encode(takeOpening()));
    },
    async pull(controller) {
      if (broken !== null) {
        await end.pull(controller, broken);
        return;
      }
      const text = takeOpening() + (await nextText().catch(failureText));
      if (gone) return;
      if (text !== "") controller.enqueue(encode(text));
      if (finished) close(controller);
    },
    cancel() {
      gone = true;
      waits.stop();
      end.leave();
      options.abort.abort(cancelled());
      payloads.return().catch(() => undefined);
    },
  });
}

/** Ids are made of hexadecimal digits, dashes and a point, names of letters, points and underscores: nothing in them can end their line. */
function written({ id, name, data }: SseEvent): string {
  return `${id === undefined ? "" : `id: ${id}\n`}${name === undefined ? "" : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`;
}
