/** Takes numbers and texts off the front of a GGUF, each length checked against the file before anything is made of it. */

/** No real header comes near. */
export const mostHeaderBytes = 64 << 20;
const mostNameBytes = 65_535;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The header goes on behind the bytes that have been read so far. */
export class MoreNeeded extends Error {}

export class Cursor {
  readonly #first: Buffer;
  readonly #size: number;
  at = 0;

  /** Of a file of `size` bytes that begins with `first`. */
  constructor(first: Buffer, size: number) {
    this.#first = first;
    this.#size = size;
  }

  take(length: number): Buffer {
    const end = this.at + length;
    if (end > this.#size) throw new Error(`the file ends after ${String(this.#size)} bytes, within its header`);
    if (end > mostHeaderBytes) throw new Error(`the header is longer than ${String(mostHeaderBytes)} bytes`);
    if (end > this.#first.length) throw new MoreNeeded();
    this.at = end;
    return this.#first.subarray(end - length, end);
  }

  /** What was taken since `start`. */
  from(start: number): Buffer {
    return this.#first.subarray(start, this.at);
  }

  uint32(): number {
    return this.take(4).readUInt32LE();
  }

  uint64(): bigint {
    return this.take(8).readBigUInt64LE();
  }

  /** A string with its length in front; `what` is for the message. */
  skipString(what: string): Buffer {
    const length = this.uint64();
    if (length > BigInt(mostHeaderBytes))
      throw new Error(`${what} claims a length of ${String(length)} bytes; at most ${String(mostHeaderBytes)} are possible`);
    return this.take(Number(length));
  }

  text(what: string): string {
    return decoded(this.skipString(what), what);
  }

  name(what: string): string {
    const bytes = this.skipString(what);
    if (bytes.length < 1 || bytes.length > mostNameBytes)
      throw new Error(`${what} has ${String(bytes.length)} bytes; 1 to ${String(mostNameBytes)} are allowed`);
    return decoded(bytes, what);
  }
}

function decoded(bytes: Buffer, what: string): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new Error(`${what} is not UTF-8`, { cause });
  }
}
