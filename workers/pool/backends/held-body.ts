/**
 * A replica's stream as it is read: chunks that come faster than `hold` one after another are taken together. A chunk passes through four Workers on
 * its way to the client and costs each of them far more than a token does. Nothing waits before the answer's first token, nor does its end.
 */
import { ServiceError } from "../../contracts/errors.ts";
import { Waits } from "../../waiting/waits.ts";
import { brokeOff } from "./failures.ts";

/**
 * How long chunks wait for others, milliseconds. A model with a token every ten milliseconds is not held up at all while a few streams run. Of many
 * streams each waits a little longer, and longer still where the isolate has so little time that its timers end late: otherwise each stream more
 * makes all others slower until no two chunks of one come together. Few streams wait for little, however late timers were while many ran.
 */
const holdMilliseconds = { least: 10, ofStream: 4, mostOfStreams: 100, mostOfLatenessOfStream: 16, mostOfLateness: 250 } as const;
/** A chunk's way through the Workers takes about eight iterations of the event loop. It waits for twice that. */
const holdsOfLateness = 16;
/** Of the newest timer in what is known of all. */
const newestShare = 0.3;
/** More than that waits for nothing. */
const mostHeldBytes = 65_536;

/** That run in this isolate. */
let streams = 0;
/** By how much its timers end late; milliseconds. */
let lateness = 0;

function holdTime(): number {
  const { least, ofStream, mostOfStreams, mostOfLatenessOfStream, mostOfLateness } = holdMilliseconds;
  const mostOfLate = Math.min(mostOfLateness, mostOfLatenessOfStream * streams);
  return Math.max(least, Math.min(mostOfStreams, ofStream * streams), Math.min(mostOfLate, holdsOfLateness * lateness));
}

/** No more of one timer than what makes the longest hold: a clock that is set says nothing of the others. */
function learn(late: number): void {
  lateness += newestShare * (Math.min(holdMilliseconds.mostOfLateness / holdsOfLateness, Math.max(0, late)) - lateness);
}

const doneMarker = new TextEncoder().encode("[DONE]");
const longestLineEnds = 4;

export class HeldBody {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #mayWait: () => boolean;
  readonly #waits = new Waits();
  #pending: Promise<ReadableStreamReadResult<Uint8Array>> | undefined;
  /** When the last went on; Unix milliseconds. */
  #last = Number.NEGATIVE_INFINITY;

  /** `mayWait`: whether what comes next may wait for more. */
  constructor(body: ReadableStream<Uint8Array>, mayWait: () => boolean) {
    this.#reader = body.getReader();
    this.#mayWait = mayWait;
    streams++;
  }

  /** The next chunks, in order; undefined after the last. @throws ServiceError where the body breaks off, after what came before that. */
  async next(): Promise<readonly Uint8Array[] | undefined> {
    const first = await this.#read().catch(() => {
      throw new ServiceError(brokeOff());
    });
    if (first.done) return undefined;
    this.#pending = undefined;
    const chunks = [first.value];
    if (this.#mayWait() && !isLast(first.value)) await this.#addTo(chunks);
    this.#last = Date.now();
    return chunks;
  }

  /** To be called once. */
  leave(): void {
    streams--;
    this.#waits.stop();
    void this.#reader.cancel().catch(() => undefined);
  }

  /** What ends the body or breaks it off is left to the next call. */
  async #addTo(chunks: Uint8Array[]): Promise<void> {
    const since = Date.now();
    const hold = holdTime();
    const due = Math.min(this.#last + hold, since + hold);
    let bytes = 0;
    for (let now = since; now < due && now >= since && bytes < mostHeldBytes; now = Date.now()) {
      const more = await this.#waits.within(this.#read(), due - now, () => "late" as const).catch(() => "broken" as const);
      if (more === "late") learn(Date.now() - due);
      if (typeof more === "string" || more.done) return;
      this.#pending = undefined;
      chunks.push(more.value);
      bytes += more.value.byteLength;
      if (isLast(more.value)) return;
    }
  }

  #read(): Promise<ReadableStreamReadResult<Uint8Array>> {
    return (this.#pending ??= this.#reader.read());
  }
}

/** Whether it ends with the event that ends a stream; where that is cut in two, the body's own end is what tells. */
function isLast(chunk: Uint8Array): boolean {
  let end = chunk.length;
  while (end > 0 && chunk.length - end < longestLineEnds && (chunk[end - 1] === 10 || chunk[end - 1] === 13)) end--;
  return doneMarker.every((byte, at) => chunk[end - doneMarker.length + at] === byte);
}
