/** Unsigned 32-bit numbers, appended. Positions and token ids by the million stay out of the garbage collector's way. */
export class GrowingArray {
  #values: Uint32Array;
  #length = 0;

  constructor(capacity = 16) {
    this.#values = new Uint32Array(Math.max(1, capacity));
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Uint32Array(this.#length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length++] = value;
  }

  /** The values so far, not copied: valid until the next push. */
  view(): Uint32Array {
    return this.#values.subarray(0, this.#length);
  }

  /** The values so far in a buffer of exactly their size, as is fit to be sent to another Worker. */
  copy(): Uint32Array {
    return this.#values.slice(0, this.#length);
  }
}
