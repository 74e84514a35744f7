/** A replica's stream of server-sent events, each a JSON value, within bounds. */
import { createParser, type EventSourceParser } from "eventsource-parser";
import { ServiceError } from "../../contracts/errors.ts";
import { brokeOff, malformed } from "./failures.ts";

/** Longest event, in characters: that of a token with all its alternatives has some 2,000. */
export const mostEventCharacters = 262_144;

const lastEvent = "[DONE]";

/**
 * The events' values, those of one chunk together, until the last event or the stream's end. The body is let go when the reader leaves.
 * `mostBytes` bounds the whole stream. @throws ServiceError where it breaks, or is more or something else than it may be.
 */
export async function* serverEvents(body: ReadableStream<Uint8Array>, mostBytes: number): AsyncGenerator<unknown[], void, undefined> {
  const reader = body.getReader();
  const values = new EventValues();
  let bytes = 0;
  try {
    while (!values.ended) {
      const { done, value } = await read(reader);
      if (done) return;
      bytes += value.byteLength;
      if (bytes > mostBytes) throw malformed(`it has more than ${String(mostBytes)} bytes`);
      const found = values.of(value);
      if (found.length > 0) yield found;
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

class EventValues {
  /** Whether the last event has come. */
  ended = false;
  readonly #decoder = new TextDecoder();
  readonly #parser: EventSourceParser;
  #found: unknown[] = [];
  #isTooLong = false;

  constructor() {
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

  /** Those that are whole with this chunk. */
  of(chunk: Uint8Array): unknown[] {
    this.#found = [];
    this.#parser.feed(this.#decoder.decode(chunk, { stream: true }));
    if (this.#isTooLong) throw malformed(`an event has more than ${String(mostEventCharacters)} characters`);
    return this.#found;
  }
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<ReadableStreamReadResult<Uint8Array>> {
  try {
    return await reader.read();
  } catch {
    throw new ServiceError(brokeOff());
  }
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    throw malformed("an event is not JSON");
  }
}
