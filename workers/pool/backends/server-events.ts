/** A replica's stream of server-sent events, each a JSON value, within bounds. */
import { createParser, type EventSourceParser } from "eventsource-parser";
import { malformed } from "./failures.ts";
import { HeldBody } from "./held-body.ts";

/** Longest event, in characters: that of a token with all its alternatives has some 2,000. */
export const mostEventCharacters = 262_144;

const lastEvent = "[DONE]";

/** Values of events that came together; none where the last event came alone. */
export interface ServerEvents {
  readonly values: readonly unknown[];
  /** Whether the last event came with them. */
  readonly areLast: boolean;
}

/**
 * The events' values, those of chunks that came together, until the last event or the stream's end. The body is let go when the reader leaves.
 * `mostBytes` bounds the whole stream, and `mayWait` says whether what comes next may wait for more. @throws ServiceError where it breaks, or is more
 * or something else than it may be, after what came before that.
 */
export async function* serverEvents(
  body: ReadableStream<Uint8Array>,
  mostBytes: number,
  mayWait: () => boolean,
): AsyncGenerator<ServerEvents, void, undefined> {
  const held = new HeldBody(body, mayWait);
  const values = new EventValues(mostBytes);
  try {
    while (!values.ended) {
      const chunks = await held.next();
      if (chunks === undefined) return;
      const { found, wrong, areLast } = values.of(chunks);
      if (found.length > 0 || areLast) yield { values: found, areLast };
      if (wrong !== undefined) throw wrong.cause;
    }
  } finally {
    held.leave();
  }
}

class EventValues {
  /** Whether the last event has come. */
  ended = false;
  readonly #decoder = new TextDecoder();
  readonly #parser: EventSourceParser;
  readonly #mostBytes: number;
  #bytes = 0;
  #found: unknown[] = [];
  #isTooLong = false;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
    this.#parser = createParser({
      maxBufferSize: mostEventCharacters,
      onEvent: ({ data }) => {
        if (this.ended) return;
        if (data === lastEvent) this.ended = true;
        else this.#found.push(parsed(data));
      },
      onError: ({ type }) => {
        if (type === "max-buffer-size-exceeded") this.#isTooLong = true;
      },
    });
  }

  /** Those that are whole with these chunks, up to what is wrong. */
  of(chunks: readonly Uint8Array[]): {
    readonly found: unknown[];
    readonly areLast: boolean;
    readonly wrong?: { readonly cause: unknown };
  } {
    this.#found = [];
    try {
      for (const chunk of chunks) this.#add(chunk);
    } catch (cause) {
      return { found: this.#found, areLast: false, wrong: { cause } };
    }
    return { found: this.#found, areLast: this.ended };
  }

  #add(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    if (this.#bytes > this.#mostBytes) throw malformed(`it has more than ${String(this.#mostBytes)} bytes`);
    this.#parser.feed(this.#decoder.decode(chunk, { stream: true }));
    if (this.#isTooLong) throw malformed(`an event has more than ${String(mostEventCharacters)} characters`);
  }
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    throw malformed("an event is not JSON");
  }
}
