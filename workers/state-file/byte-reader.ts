/** Takes so many bytes at a time off a stream whose chunks have any size. */
export class ByteReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();
  #taken = 0;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  /** The next bytes, in memory of their own. @throws RangeError where the stream ends before them. */
  async exact(length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      if (this.#rest.length === 0 && !(await this.#more()))
        throw new RangeError(`it must have ${String(this.#taken + length - at)} bytes; it has ${String(this.#taken)}`);
      const part = this.#rest.subarray(0, length - at);
      bytes.set(part, at);
      this.#rest = this.#rest.subarray(part.length);
      this.#taken += part.length;
      at += part.length;
    }
    return bytes;
  }

  /** Whether nothing follows. */
  async ended(): Promise<boolean> {
    return this.#rest.length === 0 && !(await this.#more());
  }

  /** All that follows, in memory of its own, as it comes. */
  async *rest(): AsyncGenerator<Uint8Array, void, undefined> {
    while (!(await this.ended())) {
      const rest = this.#rest.slice();
      this.#rest = new Uint8Array();
      this.#taken += rest.length;
      yield rest;
    }
  }

  async cancel(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason).catch(() => undefined);
  }

  async #more(): Promise<boolean> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return false;
      if (value.length === 0) continue;
      this.#rest = value;
      return true;
    }
  }
}
