/** Takes a byte stream apart, in chunks of any size: lines of UTF-8, and the raw bytes that a line announces. Each byte is looked at once. */
import { joined } from "./joined.ts";

export class ByteLines {
  readonly #decoder = new TextDecoder();
  #chunk: Uint8Array = new Uint8Array();
  /** The beginning of what is not whole yet. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  push(chunk: Uint8Array): void {
    this.#chunk = this.#chunk.length === 0 ? chunk : joined([this.#chunk, chunk]);
  }

  /** The next line without its end; undefined while it is not whole. */
  line(): string | undefined {
    const end = this.#chunk.indexOf(newline);
    if (end < 0) {
      this.#hold(this.#chunk.length);
      return undefined;
    }
    this.#hold(end);
    this.#chunk = this.#chunk.subarray(1);
    return this.#decoder.decode(this.#taken());
  }

  /** Every line that is whole by now. */
  *lines(): Generator<string, void, undefined> {
    for (let line = this.line(); line !== undefined; line = this.line()) yield line;
  }

  /** The next so many bytes, a copy; undefined while they are not there. */
  bytes(length: number): Uint8Array | undefined {
    this.#hold(Math.min(length - this.#heldBytes, this.#chunk.length));
    return this.#heldBytes < length ? undefined : this.#taken();
  }

  #hold(length: number): void {
    if (length === 0) return;
    this.#held.push(this.#chunk.subarray(0, length));
    this.#heldBytes += length;
    this.#chunk = this.#chunk.subarray(length);
  }

  #taken(): Uint8Array {
    const taken = joined(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    return taken;
  }
}

const newline = 0x0a;
