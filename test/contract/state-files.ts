/** State files of a test: those that events brought, and those that a request starts from. */
import { RpcTarget } from "cloudflare:workers";
import type { Outcome } from "../../workers/contracts/outcome.ts";
import type { GenerateEvent, StateSource } from "../../workers/contracts/engine.ts";
import { joined } from "../../workers/encoding/joined.ts";

/** The files that came whole, by their tokens. */
export function filesOf(all: readonly GenerateEvent[]): Map<number, Uint8Array> {
  const files = new Map<number, Uint8Array>();
  let parts: Uint8Array[] = [];
  for (const event of all) {
    if (event.type === "state") parts.push(event.bytes);
    if (event.type === "unsaved") parts = [];
    if (event.type !== "saved") continue;
    files.set(event.tokens, joined(parts));
    parts = [];
  }
  return files;
}

export function onlyFile(all: readonly GenerateEvent[]): Uint8Array {
  const [file, ...others] = filesOf(all).values();
  if (file === undefined || others.length > 0) throw new Error(`one state should have been saved: ${JSON.stringify(all.at(-1))}`);
  return file;
}

/** A state file by reference, as the session Worker hands one over; it counts how often it is opened. */
export class TestState extends RpcTarget implements StateSource {
  opened = 0;
  readonly #bytes: () => ReadableStream<Uint8Array> | null;
  readonly #read: readonly number[];

  /** Null: it can't be opened. `read`: ids of the tokens that the state has read. */
  constructor(bytes: () => ReadableStream<Uint8Array> | null, read: readonly number[] = []) {
    super();
    this.#bytes = bytes;
    this.#read = read;
  }

  tokens(): Promise<Outcome<Uint32Array>> {
    return Promise.resolve({ ok: true, value: Uint32Array.from(this.#read) });
  }

  open(): Promise<Outcome<ReadableStream<Uint8Array>>> {
    this.opened++;
    const value = this.#bytes();
    const failure = { code: "engine_unavailable", status: 503, message: "the store is away", retryable: true } as const;
    return Promise.resolve(value === null ? { ok: false, failure } : { ok: true, value });
  }
}

/** Of a file that has read these tokens. */
export function sourceOf(file: Uint8Array | ReadableStream<Uint8Array>, read: readonly number[], chunkBytes = 1000): StateSource {
  return new TestState(() => (file instanceof Uint8Array ? streamOf(file, chunkBytes) : file), read);
}

/** In chunks that end anywhere. */
export function streamOf(file: Uint8Array, chunkBytes = 1000): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      if (at < file.length) controller.enqueue(file.slice(at, (at += chunkBytes)));
      else {
        controller.close();
        controller.byobRequest?.respond(0);
      }
    },
  });
}

export function broken(file: Uint8Array): ReadableStream<Uint8Array> {
  let sent = false;
  return new ReadableStream({
    pull(controller) {
      if (sent) controller.error(new Error("the store broke"));
      else controller.enqueue(file.slice());
      sent = true;
    },
  });
}
