/**
 * Reads `text/event-stream` bytes into the data of each event, whatever the chunking. Line ends may be CR, LF or CRLF;
 * comments and the fields this page has no use for (`id`, `event`, `retry`) are skipped. An event cut off by the stream's end is dropped,
 * as the standard says: the caller notices the missing terminal event.
 */
export async function* readEventStream(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const parser = createEventParser();
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // Not awaited: a cancel that hangs on a dead connection must not hold the page back.
    reader.cancel().catch(() => undefined);
  }
}

export interface EventParser {
  /** The data of every event that these characters complete. */
  push(text: string): string[];
}

export function createEventParser(): EventParser {
  let buffered = "";
  let data: string[] = [];

  return {
    push(text) {
      buffered += text;
      const events: string[] = [];
      for (let line = takeLine(); line !== null; line = takeLine()) {
        if (line === "") {
          if (data.length > 0) events.push(data.join("\n"));
          data = [];
        } else {
          const value = dataField(line);
          if (value !== null) data.push(value);
        }
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

function dataField(line: string): string | null {
  if (line === "data") return "";
  if (!line.startsWith("data:")) return null;
  return line.startsWith("data: ") ? line.slice(6) : line.slice(5);
}
