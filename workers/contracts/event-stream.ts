/**
 * The wire form of {@link GenerateEvent}: one JSON value a line, because RPC carries byte streams and JSON lines can be read by anything.
 * A chunk of a state is the line `{"type":"state","tokens":n,"length":N}` and then exactly N raw bytes; the next line follows at once.
 * Empty lines mean nothing to the reader. A backend that has been silent for {@link heartbeatMilliseconds} writes one: the runtime tells
 * the writing end of an RPC stream that its reader has left only when it writes, so a silent one would work for nobody.
 */
import { joined } from "../encoding/joined.ts";
import { ByteLines } from "../encoding/lines.ts";
import { brokenAnswer } from "./call.ts";
import { stateChunkBytes, type GenerateEvent } from "./engine.ts";

/** Longest silence, while a prompt waits or is read, before an empty line. */
export const heartbeatMilliseconds = 250;

/** A backend that is silent for so long is taken for dead. Far longer than the time between two heartbeats, as busy machines make it. */
export const silenceMilliseconds = 10_000;

const encoder = new TextEncoder();

export function encodeHeartbeat(): Uint8Array {
  return encoder.encode("\n");
}

/** Several together, in the order that they have. */
export function encodeEvents(events: readonly GenerateEvent[]): Uint8Array {
  if (events.some(({ type }) => type === "state")) return joined(events.map(encodeEvent));
  return encoder.encode(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
}

/** A chunk of a state may have any length from 1 to {@link stateChunkBytes}; its bytes are copied. */
export function encodeEvent(event: GenerateEvent): Uint8Array {
  if (event.type !== "state") return encoder.encode(`${JSON.stringify(event)}\n`);
  const { type, tokens, bytes } = event;
  const line = encoder.encode(`${JSON.stringify({ type, tokens, length: bytes.length })}\n`);
  const encoded = new Uint8Array(line.length + bytes.length);
  encoded.set(line);
  encoded.set(bytes, line.length);
  return encoded;
}

export interface DecodeOptions {
  /** Whether the state at the answer's end follows `finish`, which then is not the last event: `saved` or `unsaved` is. */
  readonly afterFinish?: boolean;
  /** {@link silenceMilliseconds} unless given. */
  readonly silenceMilliseconds?: number;
}

/**
 * Reads events back, whatever the chunking. Ends after the terminal event; a stream that ends without one, holds a broken
 * line, or is silent for too long while it is read, yields an `error` event, so that a reader always sees exactly one terminal event. With `afterFinish`, a stream that breaks after
 * `finish` yields `unsaved`: the answer is whole. Returning early cancels the source; so does `signal`, which also frees a reader that
 * waits on a silent source (a generator's `return` only runs between events).
 */
export async function* decodeEvents(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
  options: DecodeOptions = {},
): AsyncGenerator<GenerateEvent, void, undefined> {
  for await (const events of decodeEventBatches(stream, signal, options)) yield* events;
}

/** The same, with all events together that one chunk has brought: none is empty. */
export async function* decodeEventBatches(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
  { afterFinish = false, silenceMilliseconds: longest = silenceMilliseconds }: DecodeOptions = {},
): AsyncGenerator<readonly GenerateEvent[], void, undefined> {
  const reader = stream.getReader();
  const cancel = () => void reader.cancel(signal?.reason).catch(() => undefined);
  signal?.addEventListener("abort", cancel, { once: true });
  if (signal?.aborted) cancel();
  const parser = new EventParser();
  const silence = new Silence(longest, () => void reader.cancel("the backend is silent").catch(() => undefined));
  /** Tokens of the whole text, once the answer is whole. */
  let finished: number | undefined;
  let ended = false;
  const broken = (message: string): GenerateEvent =>
    finished === undefined ? brokenStream(message) : { type: "unsaved", tokens: finished, reason: message };
  try {
    while (true) {
      const { done, value } = await silence.during(reader.read());
      if (done || silence.isOver) break;
      parser.push(value);
      const events: GenerateEvent[] = [];
      for (let event = parser.next(broken); event !== undefined && !ended; event = parser.next(broken)) {
        if (event.type === "error" && finished !== undefined) event = broken(event.failure.message);
        ended = finished === undefined ? event.type === "error" : event.type === "saved" || event.type === "unsaved";
        if (event.type === "finish") {
          ended = !afterFinish;
          finished = event.usage.promptTokens + event.usage.completionTokens;
        }
        events.push(event);
      }
      if (events.length > 0) yield events;
      if (ended) return;
    }
    ended = true;
    yield [broken(silence.isOver ? `the engine was silent for ${String(longest / 1000)} seconds` : "the engine's stream ended too early")];
  } catch (cause) {
    if (ended) throw cause;
    ended = true;
    yield [broken("the engine's stream broke off")];
  } finally {
    signal?.removeEventListener("abort", cancel);
    silence.stop();
    // Not awaited: a cancel that hangs on a dead backend must not hold the client's last bytes back.
    cancel();
  }
}

/** Notices that nothing comes. One timer for a stream: a timer for each chunk would cost more than the chunk. */
class Silence {
  readonly #longest: number;
  readonly #onOver: () => void;
  #waitingSince: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  isOver = false;

  constructor(longest: number, onOver: () => void) {
    this.#longest = longest;
    this.#onOver = onOver;
  }

  async during<T>(read: Promise<T>): Promise<T> {
    this.#waitingSince = Date.now();
    this.#timer ??= this.#look(this.#longest);
    try {
      return await read;
    } finally {
      this.#waitingSince = undefined;
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #look(milliseconds: number): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      const left = this.#waitingSince === undefined ? this.#longest : this.#waitingSince + this.#longest - Date.now();
      if (left > 0) this.#timer = this.#look(left);
      else {
        this.isOver = true;
        this.#onOver();
      }
    }, milliseconds);
  }
}

/** What lies on the wire in an event's place. */
type WireEvent = Exclude<GenerateEvent, { type: "state" }> | { readonly type: "state"; readonly tokens: number; readonly length: number };

class EventParser {
  readonly #lines = new ByteLines();
  #state: { readonly tokens: number; readonly length: number } | undefined;

  push(chunk: Uint8Array): void {
    this.#lines.push(chunk);
  }

  /** The next whole event, or what `broken` makes of one that can't be read; undefined where more bytes are needed. */
  next(broken: (message: string) => GenerateEvent): GenerateEvent | undefined {
    while (this.#state === undefined) {
      const line = this.#lines.line();
      if (line === undefined) return undefined;
      if (line === "") continue;
      const event = parseLine(line);
      if (event === undefined) return broken("the engine sent a line that is not JSON");
      if (event.type !== "state") return event;
      if (!Number.isInteger(event.length) || event.length < 1 || event.length > stateChunkBytes)
        return broken(`a chunk of a state must have 1 to ${String(stateChunkBytes)} bytes; the backend's has ${String(event.length)}`);
      this.#state = event;
    }
    const { tokens, length } = this.#state;
    const bytes = this.#lines.bytes(length);
    if (bytes === undefined) return undefined;
    this.#state = undefined;
    return { type: "state", tokens, bytes };
  }
}

function parseLine(line: string): WireEvent | undefined {
  try {
    return JSON.parse(line) as WireEvent;
  } catch {
    return undefined;
  }
}

function brokenStream(message: string): GenerateEvent {
  return { type: "error", failure: brokenAnswer("engine", message) };
}
