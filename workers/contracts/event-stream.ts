/**
 * The wire form of {@link GenerateEvent}: one JSON value a line, because RPC carries byte streams and JSON lines can be read by anything.
 * Empty lines mean nothing to the reader. A backend that has been silent for {@link HEARTBEAT_MILLISECONDS} writes one: the runtime tells
 * the writing end of an RPC stream that its reader has left only when it writes, so a silent one would work for nobody.
 */
import type { GenerateEvent } from "./engine.ts";

/** Longest silence, while a prompt waits or is read, before an empty line. */
export const HEARTBEAT_MILLISECONDS = 250;

const encoder = new TextEncoder();

export function encodeHeartbeat(): Uint8Array {
  return encoder.encode("\n");
}

export function encodeEvent(event: GenerateEvent): Uint8Array {
  return encoder.encode(`${JSON.stringify(event)}\n`);
}

/**
 * Reads events back, whatever the chunking. Ends after the terminal event; a stream that ends without one, or holds a broken
 * line, yields an `error` event, so that a reader always sees exactly one terminal event. Returning early cancels the source;
 * so does `signal`, which also frees a reader that waits on a silent source (a generator's `return` only runs between events).
 */
export async function* decodeEvents(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<GenerateEvent, void, undefined> {
  const reader = stream.getReader();
  const cancel = () => void reader.cancel(signal?.reason).catch(() => undefined);
  signal?.addEventListener("abort", cancel, { once: true });
  if (signal?.aborted) cancel();
  const decoder = new TextDecoder();
  let buffered = "";
  let ended = false;
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) break;
      buffered += decoder.decode(value, { stream: true });
      let newline = buffered.indexOf("\n");
      while (newline >= 0) {
        const line = buffered.slice(0, newline);
        buffered = buffered.slice(newline + 1);
        newline = buffered.indexOf("\n");
        if (line === "") continue;
        const event = parseEvent(line);
        ended = event.type === "finish" || event.type === "error";
        yield event;
        if (ended) return;
      }
    }
    ended = true;
    yield brokenStream("the backend's stream ended without a terminal event");
  } catch (cause) {
    if (ended) throw cause;
    ended = true;
    yield brokenStream("the backend's stream broke off");
  } finally {
    signal?.removeEventListener("abort", cancel);
    // Not awaited: a cancel that hangs on a dead backend must not hold the client's last bytes back.
    cancel();
  }
}

function parseEvent(line: string): GenerateEvent {
  try {
    return JSON.parse(line) as GenerateEvent;
  } catch {
    return brokenStream("the backend sent a line that is not JSON");
  }
}

function brokenStream(message: string): GenerateEvent {
  return { type: "error", failure: { code: "engine_unavailable", status: 502, message, retryable: true } };
}
