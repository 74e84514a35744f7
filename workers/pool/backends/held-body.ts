/**
 * A replica's stream as it is read: chunks that come faster than is worth sending each of them are taken together. A chunk passes through four Workers
 * on its way to the client and costs each of them far more than a token does. Nothing waits before the answer's first token, nor does its end, nor
 * does a token of a model that sends them no faster than somebody sees them come.
 */
import { ServiceError } from "../../contracts/errors.ts";
import { Waits } from "../../waiting/waits.ts";
import { brokeOff } from "./failures.ts";

/**
 * How long chunks wait for others in all, milliseconds, while others come. Of many streams each waits a little longer, and longer still where the
 * isolate has so little time that its timers end late: otherwise each stream more makes all others slower until no two chunks of one come together.
 */
const holdMilliseconds = { least: 10, ofStream: 4, mostOfStreams: 100, mostOfLateness: 250 } as const;
/** A chunk's way through the Workers takes about eight iterations of the event loop. It waits for twice that. */
const holdsOfLateness = 16;
/**
 * How long a chunk waits for the next one, milliseconds, and by how much of the lateness longer. A stream whose chunks lie further apart than that is
 * sent as it comes, however many there are: a reader sees tokens come one by one up to some hundred a second.
 */
const silenceMilliseconds = 10;
const silencesOfLateness = 2;
/** Of the newest timer in what is known of all. */
const newestShare = 0.3;
/** More than that waits for nothing. */
const mostHeldBytes = 65_536;

/** That run in this isolate. */
let streams = 0;
/** By how much its timers end late; milliseconds. */
let lateness = 0;
/** When the newest of them ended, Unix milliseconds: where nothing waits, one is set for its own sake now and then. */
let learned = Number.NEGATIVE_INFINITY;
const learnEveryMilliseconds = 100;
const shortestMilliseconds = 1;

function holdTime(): number {
  const { least, ofStream, mostOfStreams, mostOfLateness } = holdMilliseconds;
  return Math.max(least, Math.min(mostOfStreams, ofStream * streams), Math.min(mostOfLateness, holdsOfLateness * lateness));
}

const silenceTime = (): number => Math.max(silenceMilliseconds, silencesOfLateness * lateness);

/** No more of one timer than what makes the longest hold: a clock that is set says nothing of the others. */
function learn(late: number): void {
  learned = Date.now();
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
  /** When the newest chunk came; Unix milliseconds. */
  #came = Date.now();
  /** How long after the ones before them the two newest chunks came: what has been held up on its way comes in a heap, behind a longer wait. */
  #apart: readonly [number, number] = [0, 0];

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
    const chunks = [this.#taken(first.value)];
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
    const toLearn = Math.abs(since - learned) < learnEveryMilliseconds ? since : since + shortestMilliseconds;
    let bytes = 0;
    for (let now = since; now >= since && bytes < mostHeldBytes; now = Date.now()) {
      const end = Math.max(this.#waitsUntil(now, due), toLearn);
      if (end <= now) return;
      const more = await this.#waits.within(this.#read(), end - now, () => "late" as const).catch(() => "broken" as const);
      if (more === "late") learn(Date.now() - end);
      if (typeof more === "string" || more.done) return;
      chunks.push(this.#taken(more.value));
      bytes += more.value.byteLength;
      if (isLast(more.value)) return;
    }
  }

  /** For the next chunk; no longer than now where that is not expected soon. */
  #waitsUntil(now: number, due: number): number {
    const silence = silenceTime();
    return Math.min(...this.#apart) > silence ? now : Math.min(due, now + silence);
  }

  #taken(chunk: Uint8Array): Uint8Array {
    const now = Date.now();
    this.#pending = undefined;
    this.#apart = [this.#apart[1], now - this.#came];
    this.#came = now;
    return chunk;
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
