/**
 * A second backend beside one that is slow with its first token: whichever has one first answers, and the other is let go. For requests that ask
 * for it, since it costs work twice.
 */
import { within } from "../waiting/within.ts";
import type { Begun } from "./begin.ts";

const newline = 0x0a;
const errorEvent = '{"type":"error"';

/** `second` begins another one; undefined where there is none. */
export async function hedged(first: Begun, milliseconds: number, second: () => Promise<Begun | undefined>): Promise<Begun> {
  const ahead = new Head(first);
  if ((await within(ahead.arrived, milliseconds, () => undefined)) !== undefined) return ahead.whole();
  const begun = await second();
  if (begun === undefined) return ahead.whole();
  const behind = new Head(begun);
  const winner = await firstOf(ahead, behind);
  (winner === ahead ? behind : ahead).letGo();
  return winner.whole();
}

/** One that brings an error loses against one that has brought nothing yet. */
async function firstOf(one: Head, other: Head): Promise<Head> {
  const [fastest, slower] = await Promise.race([
    one.arrived.then(() => [one, other] as const),
    other.arrived.then(() => [other, one] as const),
  ]);
  if ((await fastest.arrived) === "token") return fastest;
  return (await slower.arrived) === "token" ? slower : fastest;
}

type Chunk = ReadableStreamReadResult<Uint8Array>;

/** A stream up to its first event. */
class Head {
  readonly #begun: Begun;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #read: Uint8Array[] = [];
  /** Asked for, and nobody has it yet. */
  #pending: Promise<Chunk> | undefined;
  #handedOn = false;
  /** Never rejects. */
  readonly arrived: Promise<"token" | "failure">;

  constructor(begun: Begun) {
    this.#begun = begun;
    this.#reader = begun.events.getReader();
    this.arrived = this.#first();
  }

  letGo(): void {
    void this.#reader.cancel("another backend was faster").catch(() => undefined);
  }

  /** The whole stream, with what has been read of it, whether its first event has arrived or not. */
  whole(): Begun {
    this.#handedOn = true;
    const events: ReadableStream<Uint8Array> = new ReadableStream(
      {
        type: "bytes",
        pull: async (controller) => {
          const chunk = this.#read.shift() ?? (await this.#next()).value;
          if (chunk !== undefined) {
            controller.enqueue(chunk);
            return;
          }
          controller.close();
          controller.byobRequest?.respond(0);
        },
        cancel: async (reason) => {
          await this.#reader.cancel(reason);
        },
      },
      { highWaterMark: 0 },
    );
    return { ...this.#begun, events };
  }

  async #next(): Promise<Chunk> {
    const next = this.#pending ?? this.#reader.read();
    this.#pending = undefined;
    return await next;
  }

  async #first(): Promise<"token" | "failure"> {
    try {
      while (true) {
        this.#pending = this.#reader.read();
        const { done, value } = await this.#pending;
        // Whoever has the stream now has this chunk, too.
        if (this.#handedOn) break;
        this.#pending = undefined;
        if (done) break;
        this.#read.push(value);
        const at = value.findIndex((byte) => byte !== newline);
        if (at >= 0) return new TextDecoder().decode(value.subarray(at, at + errorEvent.length)) === errorEvent ? "failure" : "token";
      }
    } catch {
      // What comes of it is read from the stream again.
    }
    return "failure";
  }
}
