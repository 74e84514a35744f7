/** A state on its way out of all stages, as one file: read ahead a little, whatever the scheduler does meanwhile. */
import { stateChunkBytes } from "../../contracts/engine.ts";
import { ByteReader } from "../../state-file/byte-reader.ts";
import { EngineError, type PartOfFile } from "../engine-surface.ts";
import { errorOf, stretches } from "./file-shares.ts";

/** Chunks that lie here before the stages wait. */
const chunksAhead = 2;

export interface JoinedStateOptions {
  readonly headerBytes: number;
  /** Each stage's file: the header, and its own bytes. */
  readonly files: readonly Promise<ReadableStream<Uint8Array>>[];
  readonly sharesOf: (header: Uint8Array) => readonly PartOfFile[];
  readonly onProgress: () => void;
}

export class JoinedState {
  #chunks: Uint8Array[] = [];
  #status: "open" | "ended" | "closed" = "open";
  #error: Error | undefined;
  #onRoom: (() => void) | undefined;
  #readers: ByteReader[] = [];

  constructor(options: JoinedStateOptions) {
    this.#pump(options).catch((error: unknown) => {
      // Where one stage has none of it, the others' parts are wanted no more.
      if (this.#readers.length === 0) for (const file of options.files) file.then((part) => part.cancel(error)).catch(() => undefined);
      // A part that ends too early is a state that is not whole, and no mistake of this code.
      this.#error =
        error instanceof RangeError ? new EngineError("state_lost", "a stage's part of a state ended too early") : errorOf(error);
      this.#cancelAll(error);
      options.onProgress();
    });
  }

  /** The next bytes, at most so many; none at the end, and undefined where they are not here yet. @throws what a stage failed with */
  take(most: number): Uint8Array | undefined {
    if (this.#error !== undefined) throw this.#error;
    const [first] = this.#chunks;
    if (first === undefined) return this.#status === "ended" ? new Uint8Array() : undefined;
    if (first.length > most) this.#chunks[0] = first.subarray(most);
    else this.#chunks.shift();
    this.#onRoom?.();
    return first.subarray(0, most);
  }

  close(): void {
    this.#status = "closed";
    this.#cancelAll(undefined);
    this.#onRoom?.();
  }

  async #pump({ headerBytes, files, sharesOf, onProgress }: JoinedStateOptions): Promise<void> {
    this.#readers = (await Promise.all(files)).map((file) => new ByteReader(file));
    if (this.#isClosed()) {
      this.#cancelAll(undefined);
      return;
    }
    const headers = await Promise.all(this.#readers.map((reader) => reader.exact(headerBytes)));
    const [header = new Uint8Array()] = headers;
    if (headers.some((other) => other.some((byte, at) => byte !== header[at])))
      throw new EngineError("state_lost", "the stages do not stand at the same token");
    let chunk = new Uint8Array(stateChunkBytes);
    chunk.set(header);
    let filled = header.length;
    const flush = async (): Promise<void> => {
      this.#chunks.push(chunk.subarray(0, filled));
      chunk = new Uint8Array(stateChunkBytes);
      filled = 0;
      onProgress();
      while (this.#chunks.length >= chunksAhead && !this.#isClosed()) await this.#room();
    };
    for (const { stage, bytes } of stretches(sharesOf(header))) {
      for (let left = bytes; left > 0;) {
        if (filled === chunk.length) await flush();
        if (this.#isClosed()) return;
        const part = Math.min(left, chunk.length - filled);
        chunk.set((await this.#readers[stage]?.exact(part)) ?? [], filled);
        filled += part;
        left -= part;
      }
    }
    // Only at its end does a stage know that all of its part is out, and goes on with the sequence.
    const ended = await Promise.all(this.#readers.map((reader) => reader.ended()));
    if (ended.includes(false)) throw new EngineError("state_lost", "a stage's part of a state goes on past its end");
    await flush();
    this.#status = this.#isClosed() ? "closed" : "ended";
    onProgress();
  }

  /** Set from outside while the pump waits. */
  #isClosed(): boolean {
    return this.#status === "closed";
  }

  #cancelAll(reason: unknown): void {
    for (const reader of this.#readers) void reader.cancel(reason);
  }

  async #room(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onRoom = resolve;
    });
    this.#onRoom = undefined;
  }
}
