import { within } from "../../../waiting/within.ts";

/** `id` is the newest that the stream has named, whichever event it came with: what a client that comes back sends as `Last-Event-ID`. */
export interface StreamEvent {
  readonly id: string;
  readonly data: string;
}

/** Servers send a comment every 15 s; a connection that is silent for three of them is dead, whatever the browser believes. */
const silenceMs = 45_000;

/**
 * Reads `text/event-stream` bytes into events, whatever the chunking. Line ends may be CR, LF or CRLF; comments and the fields this page has
 * no use for (`event`, `retry`) are skipped. An event cut off by the stream's end is dropped, as the standard says: the caller notices the
 * missing terminal event.
 */
export async function* readEventStream(stream: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent, void, undefined> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const parser = createEventParser();
  try {
    while (true) {
      const { done, value } = await within(reader.read(), silenceMs, nothingComes);
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // Not awaited: a cancel that hangs on a dead connection must not hold the page back.
    reader.cancel().catch(() => undefined);
  }
}

function nothingComes(): never {
  throw new Error(`nothing came for ${silenceMs} ms`);
}

export interface EventParser {
  /** Every event that these characters complete. */
  push(text: string): StreamEvent[];
}

export function createEventParser(): EventParser {
  let buffered = "";
  let id = "";
  let data: string[] = [];

  return {
    push(text) {
      buffered += text;
      const events: StreamEvent[] = [];
      for (let line = takeLine(); line !== null; line = takeLine()) {
        if (line === "") {
          if (data.length > 0) events.push({ id, data: data.join("\n") });
          data = [];
          continue;
        }
        const value = fieldOf(line, "data");
        if (value !== null) data.push(value);
        id = fieldOf(line, "id") ?? id;
      }
      return events;
    },
  };

  function takeLine(): string | null {
    const end = buffered.search(/[\r\n]/);
    if (end < 0) return null;
    // A CR at the very end may be the first half of a CRLF, so it waits for the next character.
    if (buffered[end] === "\r" && end === buffered.length - 1) return null;
    const line = buffered.slice(0, end);
    buffered = buffered.slice(buffered.startsWith("\r\n", end) ? end + 2 : end + 1);
    return line;
  }
}

function fieldOf(line: string, name: string): string | null {
  if (line === name) return "";
  if (!line.startsWith(`${name}:`)) return null;
  const value = line.slice(name.length + 1);
  return value.startsWith(" ") ? value.slice(1) : value;
}
