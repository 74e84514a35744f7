/** The wire form of {@link StreamEntry}: one JSON value a line. Empty lines mean nothing, except that the writer lives. */
import { ByteLines } from "../encoding/lines.ts";
import { brokenAnswer } from "./call.ts";
import { ServiceError } from "./errors.ts";
import type { StreamEntry } from "./session.ts";

/** What a `failed` entry holds: the answer itself has ended, and every other reader hears the same. */
export class AnswerFailed extends ServiceError {}

/**
 * Reads entries back, whatever the chunking, until the terminal one. Throws the {@link AnswerFailed} that a `failed` entry is, or the
 * {@link ServiceError} that a broken stream is; returning early cancels the source, and so does `signal`, which frees a reader that waits.
 */
export async function* decodeEntries(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<StreamEntry, void, undefined> {
  const reader = stream.getReader();
  const cancel = () => void reader.cancel(signal?.reason).catch(() => undefined);
  signal?.addEventListener("abort", cancel, { once: true });
  if (signal?.aborted) cancel();
  const lines = new ByteLines();
  try {
    while (true) {
      const { done, value } = await read(reader, signal);
      if (done) throw broken(signal);
      lines.push(value);
      for (const line of lines.lines()) {
        if (line === "") continue;
        const entry = parsed(line);
        if (entry.event.type === "failed")
          throw signal?.reason instanceof ServiceError ? signal.reason : new AnswerFailed(entry.event.failure);
        yield entry;
        if (entry.event.type === "done") return;
      }
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
    // Not awaited: a cancel that hangs must not hold the client's last bytes back.
    cancel();
  }
}

/** @throws ServiceError */
function parsed(line: string): StreamEntry {
  try {
    return JSON.parse(line) as StreamEntry;
  } catch (cause) {
    throw new ServiceError(brokenAnswer("session", "The session service sent a line that is not JSON; the answer can be resumed."), {
      cause,
    });
  }
}

async function read(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  try {
    return await reader.read();
  } catch (cause) {
    throw broken(signal, cause);
  }
}

function broken(signal: AbortSignal | undefined, cause?: unknown): ServiceError {
  if (signal?.reason instanceof ServiceError) return signal.reason;
  return new ServiceError(brokenAnswer("session", "The session service's stream broke off; the answer can be resumed."), { cause });
}
