/** The wire form of {@link StreamEntry}: one JSON value a line. Empty lines mean nothing, except that the writer lives. */
import { ByteLines } from "../encoding/lines.ts";
import { brokenAnswer } from "./call.ts";
import { ServiceError } from "./errors.ts";
import type { StreamEntry } from "./session.ts";

/** What a `failed` entry holds: the answer itself has ended, and every other reader hears the same. */
export class AnswerFailed extends ServiceError {}

/**
 * Reads entries back, whatever the chunking, until the terminal one: those together that one chunk has brought, never none. Throws the
 * {@link AnswerFailed} that a `failed` entry is, or the {@link ServiceError} that a broken stream is; returning early cancels the source, and so
 * does `signal`, which frees a reader that waits. `known` are the lines before the stream, as an `OpenStream` has them.
 */
export async function* decodeEntries(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
  known = "",
): AsyncGenerator<readonly StreamEntry[], void, undefined> {
  const reader = stream.getReader();
  const cancel = () => void reader.cancel(signal?.reason).catch(() => undefined);
  signal?.addEventListener("abort", cancel, { once: true });
  if (signal?.aborted) cancel();
  const lines = new ByteLines();
  try {
    for (let next: Iterable<string> = known.split("\n"); ; next = lines.lines()) {
      const { entries, failure } = entriesOf(next);
      if (entries.length > 0) yield entries;
      if (failure !== undefined) throw signal?.reason instanceof ServiceError ? signal.reason : failure;
      if (entries.at(-1)?.event.type === "done") return;
      const { done, value } = await read(reader, signal);
      if (done) throw broken(signal);
      lines.push(value);
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
    // Not awaited: a cancel that hangs must not hold the client's last bytes back.
    cancel();
  }
}

/** Those that are whole, up to the terminal one; `failure` is what comes behind them where that is the end, or can't be read. */
function entriesOf(lines: Iterable<string>): { readonly entries: readonly StreamEntry[]; readonly failure?: ServiceError } {
  const entries: StreamEntry[] = [];
  for (const line of lines) {
    if (line === "") continue;
    const entry = parsed(line);
    if (entry instanceof ServiceError) return { entries, failure: entry };
    if (entry.event.type === "failed") return { entries, failure: new AnswerFailed(entry.event.failure) };
    entries.push(entry);
    if (entry.event.type === "done") break;
  }
  return { entries };
}

function parsed(line: string): StreamEntry | ServiceError {
  try {
    return JSON.parse(line) as StreamEntry;
  } catch (cause) {
    return new ServiceError(brokenAnswer("session", "The session service sent a line that is not JSON; the answer can be resumed."), {
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
