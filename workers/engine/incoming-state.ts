/** The bytes of a state on their way in: read ahead as far as is allowed and no further, whatever the scheduler is doing meanwhile. */

export interface IncomingStateHost {
  /** Milliseconds. */
  now(): number;
  /** As many bytes as are allowed are there, or no more will come. */
  onArrival(): void;
}

export class IncomingState {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #host: IncomingStateHost;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #allowed: number;
  #status: "open" | "ended" | "broken" | "cancelled" = "open";
  /** Since when the next bytes are awaited; undefined while none are. */
  #awaitedSince: number | undefined;
  #onRoom: (() => void) | undefined;

  constructor(stream: ReadableStream<Uint8Array>, allowed: number, host: IncomingStateHost) {
    this.#reader = stream.getReader();
    this.#allowed = allowed;
    this.#host = host;
    void this.#pump();
  }

  /** `ended` and `broken` hold for the stream; bytes that came before may still be here. */
  get status(): "open" | "ended" | "broken" | "cancelled" {
    return this.#status;
  }

  /** Whether as many bytes as are allowed are here, or all there are. */
  get arrived(): boolean {
    return this.#bytes >= this.#allowed || this.#status !== "open";
  }

  /** How long nothing has come although something was awaited. */
  silence(now: number): number {
    return this.#awaitedSince === undefined ? 0 : now - this.#awaitedSince;
  }

  /** How many bytes may lie here from now on; the last chunk may go beyond. */
  allow(bytes: number): void {
    this.#allowed = bytes;
    this.#onRoom?.();
  }

  /** All that is here, which stays here. */
  peek(): Uint8Array {
    const [first] = this.#chunks;
    if (first !== undefined && this.#chunks.length === 1) return first;
    const joined = new Uint8Array(this.#bytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [joined];
    return joined;
  }

  /** Lets go of all that is here, which makes room. */
  drop(): void {
    this.#chunks = [];
    this.#bytes = 0;
    this.#onRoom?.();
  }

  cancel(): void {
    this.#status = "cancelled";
    this.drop();
    this.#reader.cancel().catch(() => undefined);
  }

  async #pump(): Promise<void> {
    try {
      while (this.#status === "open") {
        this.#awaitedSince = this.#host.now();
        const { done, value } = await this.#reader.read();
        this.#awaitedSince = undefined;
        if (this.#isCancelled()) return;
        if (done) this.#status = "ended";
        else {
          this.#chunks.push(value);
          this.#bytes += value.length;
        }
        if (this.arrived) this.#host.onArrival();
        while (this.#status === "open" && this.#bytes >= this.#allowed) await this.#room();
      }
    } catch {
      if (this.#isCancelled()) return;
      this.#awaitedSince = undefined;
      this.#status = "broken";
      this.#host.onArrival();
    }
  }

  /** Set from outside while the pump waits. */
  #isCancelled(): boolean {
    return this.#status === "cancelled";
  }

  async #room(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onRoom = resolve;
    });
    this.#onRoom = undefined;
  }
}
