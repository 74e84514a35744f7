/**
 * One JSON object that takes its time: white space, which JSON allows in front, shows that it is coming and finds out whether anybody still
 * waits. A failure comes as the error object that its status would have come with, and the connection breaks, so that nobody takes it for an answer.
 */
import type { ServiceFailure } from "../../contracts/errors.ts";
import { asServiceError, cancelled } from "../failures.ts";
import { BrokenEnd } from "./broken-end.ts";
import { within } from "../../waiting/within.ts";

const whitespace = "\n";

/** A compressor on the way would hold the spaces back, and with them the news that nobody waits. */
export const slowJsonHeaders = {
  "content-type": "application/json; charset=utf-8",
  "content-encoding": "identity",
  "cache-control": "no-store, no-transform",
} as const;

export interface SlowJsonOptions {
  /** Silence after which a space is written. */
  readonly silenceMilliseconds: number;
  /** Frees the source of the answer once the client has gone. */
  readonly abort: AbortController;
  readonly onFailure: (failure: ServiceFailure, cause: unknown) => void;
  readonly errorBody: (failure: ServiceFailure) => object;
}

export function slowJson(answer: Promise<object>, options: SlowJsonOptions): ReadableStream<Uint8Array> {
  const { silenceMilliseconds, abort, onFailure } = options;
  const end = new BrokenEnd(whitespace);
  let broken: Error | null = null;
  let finished = false;
  let gone = false;
  const nextText = async (): Promise<string> => {
    try {
      const value = await within(answer, silenceMilliseconds, () => null);
      finished = value !== null;
      return value === null ? whitespace : JSON.stringify(value);
    } catch (cause) {
      const error = asServiceError(cause);
      broken = error;
      onFailure(error.failure, cause);
      return JSON.stringify(options.errorBody(error.failure));
    }
  };
  return new ReadableStream({
    type: "bytes",
    start: (controller) => controller.enqueue(new TextEncoder().encode(whitespace)),
    async pull(controller) {
      if (broken !== null) {
        await end.pull(controller, broken);
        return;
      }
      if (finished) {
        controller.close();
        controller.byobRequest?.respond(0);
        return;
      }
      const text = await nextText();
      if (!gone) controller.enqueue(new TextEncoder().encode(text));
    },
    cancel() {
      gone = true;
      end.leave();
      abort.abort(cancelled());
    },
  });
}
