/** A state's file on its way into all stages: each gets the header and its own bytes, as fast as it takes them. */
import { ByteReader } from "../../state-file/byte-reader.ts";
import { EngineError, StatesLost, type PartOfFile } from "../engine-surface.ts";
import { errorOf, stretches } from "./file-shares.ts";

/** Bytes for one stage that are gathered before they are sent. */
const sentBytes = 1 << 16;

export interface SharedStateOptions {
  readonly headerBytes: number;
  readonly sharesOf: (header: Uint8Array) => readonly PartOfFile[];
  /** Before anything is sent. */
  readonly ready: () => Promise<void>;
  /** What takes each stage's file in, and resolves with the tokens that it holds. */
  readonly restore: readonly ((file: ReadableStream<Uint8Array>) => Promise<number>)[];
  readonly onProgress: () => void;
}

export class SharedState {
  readonly #input = new TransformStream<Uint8Array, Uint8Array>();
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #onProgress: () => void;
  #waiting = 0;
  #ended = false;
  #tokens: number | undefined;
  #error: Error | undefined;

  constructor(options: SharedStateOptions) {
    this.#writer = this.#input.writable.getWriter();
    this.#onProgress = options.onProgress;
    this.#writer.closed.catch(() => undefined);
    this.#pump(options).then(
      (tokens) => {
        this.#tokens = tokens;
        this.#onProgress();
      },
      (error: unknown) => {
        this.#error = errorOf(error);
        this.#writer.abort(error).catch(() => undefined);
        this.#onProgress();
      },
    );
  }

  /** Whether what has been pushed has been taken. */
  get settled(): boolean {
    return this.#waiting === 0 || this.#error !== undefined;
  }

  /** @throws what a stage refused the state with */
  push(chunk: Uint8Array): void {
    this.#check();
    this.#waiting += 1;
    // Whoever pushes may use its chunk again.
    this.#writer.write(chunk.slice()).then(
      () => {
        this.#waiting -= 1;
        this.#onProgress();
      },
      () => undefined,
    );
  }

  /** Tokens that the state has read, once all stages have all of it; undefined until then. @throws what a stage refused the state with */
  end(): number | undefined {
    this.#check();
    if (!this.#ended) {
      this.#ended = true;
      this.#writer.close().catch(() => undefined);
    }
    return this.#tokens;
  }

  close(): void {
    this.#error ??= new Error("the state is wanted no more");
    this.#writer.abort(this.#error).catch(() => undefined);
  }

  #check(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  async #pump({ headerBytes, sharesOf, ready, restore }: SharedStateOptions): Promise<number> {
    const reader = new ByteReader(this.#input.readable);
    const header = await reader.exact(headerBytes);
    const shares = sharesOf(header);
    await ready();
    const outputs = restore.map((take) => new Output(take));
    try {
      await Promise.all(outputs.map((output) => output.write(header)));
      for (const { stage, bytes } of stretches(shares)) {
        for (let left = bytes; left > 0;) {
          const part = Math.min(left, sentBytes);
          await outputs[stage]?.write(await reader.exact(part));
          left -= part;
        }
      }
      // What comes beyond the file's end is the last stage's to refuse.
      for await (const rest of reader.rest()) await outputs.at(-1)?.write(rest);
      const [tokens = 0] = await Promise.all(outputs.map((output) => output.end()));
      return tokens;
    } catch (error) {
      const failures = (await Promise.all(outputs.map((output) => output.abort(error)))).filter((failure) => failure !== undefined);
      if (error instanceof RangeError) throw new EngineError("invalid_state", `the state's file ends too early: ${error.message}`);
      // A stage that refuses its bytes says more than the stream to it, which then breaks, or than another stage whose stream is broken off.
      throw failures.find((failure) => !(failure instanceof StatesLost)) ?? failures[0] ?? error;
    }
  }
}

class Output {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #taken: Promise<number>;
  #failure: Error | undefined;
  #gathered: Uint8Array[] = [];
  #bytes = 0;

  constructor(take: (file: ReadableStream<Uint8Array>) => Promise<number>) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    this.#writer = writable.getWriter();
    this.#writer.closed.catch(() => undefined);
    this.#taken = take(readable);
    this.#taken.catch((error: unknown) => {
      this.#failure = errorOf(error);
      this.#writer.abort(error).catch(() => undefined);
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#gathered.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= sentBytes) await this.#send();
  }

  async end(): Promise<number> {
    await this.#send();
    await this.#writer.close();
    return await this.#taken;
  }

  /** What the stage itself failed with. */
  async abort(reason: unknown): Promise<Error | undefined> {
    await this.#writer.abort(reason).catch(() => undefined);
    await this.#taken.catch(() => undefined);
    return this.#failure === reason ? undefined : this.#failure;
  }

  async #send(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#bytes === 0) return;
    const joined = new Uint8Array(this.#bytes);
    let at = 0;
    for (const part of this.#gathered) {
      joined.set(part, at);
      at += part.length;
    }
    [this.#gathered, this.#bytes] = [[], 0];
    await this.#writer.write(joined);
  }
}
