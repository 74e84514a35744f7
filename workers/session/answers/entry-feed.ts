/** Hands a stream's entries to its readers: any number of them, from anywhere, each at its own pace. */
import type { StreamEntry } from "../../contracts/session.ts";
import { heartbeatMilliseconds } from "../../contracts/event-stream.ts";
import { Waits } from "../../waiting/waits.ts";

/** Characters of entries kept in memory; readers that are further behind are served from the log. */
const keptCharacters = 4 << 20;
/** Characters that one read hands out. */
const batchCharacters = 1 << 16;

export interface FeedHost {
  /** Lines of the entries from this number on, up to and without the second. */
  older(from: number, to: number): Iterable<string>;
  onReaders(count: number): void;
}

export interface Reading {
  /** Lines that are there by now, which the stream does not give then; to be called before that is read. */
  readonly known: () => string;
  /** The other entries, live ones too, then the end. Bytes are made only when the reader asks. */
  readonly stream: ReadableStream<Uint8Array>;
}

export class EntryFeed {
  readonly #host: FeedHost;
  #lines: string[] = [];
  #characters = 0;
  /** Number of the first line in memory. */
  #first = 1;
  #momentary = "";
  #closed = false;
  #readers = 0;
  #wakers = new Set<() => void>();

  constructor(host: FeedHost) {
    this.#host = host;
  }

  get readers(): number {
    return this.#readers;
  }

  /** Number of the last entry. */
  get last(): number {
    return this.#first + this.#lines.length - 1;
  }

  append(entry: StreamEntry): void {
    const line = `${JSON.stringify(entry)}\n`;
    if (entry.number === null) this.#momentary = line;
    else {
      this.#momentary = "";
      this.#lines.push(line);
      this.#characters += line.length;
      while (this.#characters > keptCharacters && this.#lines.length > 1) {
        this.#characters -= this.#lines.shift()?.length ?? 0;
        this.#first++;
      }
    }
    this.#wake();
  }

  /** After the terminal entry. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** The entries after this number. */
  read(after: number): Reading {
    let next = after + 1;
    let gone = false;
    let seenMomentary = "";
    const waits = new Waits();
    const leave = () => {
      if (gone) return;
      gone = true;
      waits.stop();
      this.#host.onReaders(--this.#readers);
    };
    this.#host.onReaders(++this.#readers);
    const encoder = new TextEncoder();
    const known = () => {
      const text = this.#take(next);
      next += text.count;
      return text.lines;
    };
    const stream: ReadableStream<Uint8Array> = new ReadableStream(
      {
        type: "bytes",
        pull: async (controller: ReadableByteStreamController) => {
          let text = this.#take(next);
          if (text.count === 0 && !this.#closed && this.#momentary === seenMomentary) {
            await this.#change(waits);
            text = this.#take(next);
          }
          if (gone) return;
          next += text.count;
          if (text.count > 0) controller.enqueue(encoder.encode(text.lines));
          if (this.#closed && next > this.last) {
            leave();
            controller.close();
            controller.byobRequest?.respond(0);
          } else if (text.count === 0) {
            // A heartbeat where there is nothing to say: only by writing does the stream's end learn that its reader has gone.
            const momentary = this.#momentary === seenMomentary ? "" : this.#momentary;
            seenMomentary = this.#momentary;
            controller.enqueue(encoder.encode(momentary === "" ? "\n" : momentary));
          }
        },
        cancel: leave,
      },
      { highWaterMark: 0 },
    );
    return { known, stream };
  }

  #take(next: number): { readonly lines: string; readonly count: number } {
    if (next < this.#first) return batch(this.#host.older(next, this.#first));
    return batch(this.#lines.slice(next - this.#first, next - this.#first + batchCharacters));
  }

  /** Until something happens, or it is time for a heartbeat. */
  async #change(waits: Waits): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const waker = () => {
      resolve(undefined);
    };
    this.#wakers.add(waker);
    await waits.within(promise, heartbeatMilliseconds, () => undefined);
    this.#wakers.delete(waker);
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = new Set();
    for (const waker of wakers) waker();
  }
}

function batch(lines: Iterable<string>): { readonly lines: string; readonly count: number } {
  let text = "";
  let count = 0;
  for (const line of lines) {
    if (count > 0 && text.length + line.length > batchCharacters) break;
    text += line;
    count++;
  }
  return { lines: text, count };
}
