/** States of a request without a key: nothing of it is kept, so that they lie in this isolate and go with the call. */
import type { Outcome } from "../../contracts/outcome.ts";
import { internalError } from "../failures.ts";
import { chunkStream } from "../snapshots/seal/chunk-stream.ts";
import type { Findings, OpenedSnapshot, PutOrder, SnapshotStore, StoredSnapshot } from "../snapshots/contract.ts";

/** An isolate has 128 MB for all of its requests; one state of the built-in model has 13. */
const mostBytes = 32 * 1024 * 1024;

export class CallStore implements Pick<SnapshotStore, "find" | "open" | "put"> {
  readonly #files = new Map<string, { readonly tokens: number; readonly chunks: readonly Uint8Array[] }>();

  find(): Promise<Findings> {
    return Promise.resolve({ candidates: [], worthSaving: null });
  }

  open(id: string, keep: number, fromPage = 0): Promise<Outcome<OpenedSnapshot>> {
    const file = this.#files.get(id);
    if (file?.tokens !== keep || fromPage !== 0) return Promise.resolve(notHeld("The state is held whole, or not at all."));
    return Promise.resolve({ ok: true, value: { tokens: keep, tier: "hot", bytes: chunkStream(copies(file.chunks)) } });
  }

  async put({ tokens }: PutOrder, bytes: ReadableStream<Uint8Array>): Promise<Outcome<StoredSnapshot>> {
    const chunks: Uint8Array[] = [];
    let fileBytes = 0;
    for await (const chunk of bytes) {
      fileBytes += chunk.length;
      if (fileBytes > mostBytes) return notHeld(`The state has more than ${String(mostBytes)} bytes.`);
      chunks.push(chunk.slice());
    }
    const id = String(this.#files.size);
    this.#files.set(id, { tokens, chunks });
    return { ok: true, value: { id, tokens, writtenBytes: 0, fileBytes } };
  }
}

/** Whoever reads a stream may take the bytes of a chunk away. */
// eslint-disable-next-line @typescript-eslint/require-await -- a stream is made of an asynchronous generator
async function* copies(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const chunk of chunks) yield chunk.slice();
}

const notHeld = (message: string): Extract<Outcome<never>, { readonly ok: false }> => ({ ok: false, failure: internalError(message) });
