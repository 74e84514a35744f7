/**
 * Sealed chunks of blobs, from the object's rows or from R2. Blobs that lie one after another in a pack come in one read. What comes from R2
 * and holds is brought back into rows on the way.
 */
import { ByteReader } from "../../../state-file/byte-reader.ts";
import type { Blob, BlobShelf } from "./blob-shelf.ts";
import { ServiceUnreachable, answerOf } from "../tiers/deadline.ts";
import { chunkCount, SealBroken, sealedBytes, sealedChunkBytes } from "../seal/seal.ts";

type Place = NonNullable<Blob["pack"]>;

interface PackRead {
  readonly reader: ByteReader;
  readonly pack: string;
  /** Where its next byte lies, and where the read ends. */
  next: number;
  readonly end: number;
}

export class BlobSource {
  readonly #shelf: BlobShelf;
  readonly #r2: R2Bucket;
  /** In the order in which they will be read. */
  readonly #blobs: readonly Blob[];
  #read: PackRead | undefined;

  constructor(shelf: BlobShelf, r2: R2Bucket, blobs: readonly Blob[]) {
    this.#shelf = shelf;
    this.#r2 = r2;
    this.#blobs = blobs;
  }

  /** @throws SealBroken where it is gone or too short. @throws ServiceUnreachable */
  async chunk(blob: Blob, number: number): Promise<{ readonly sealed: Uint8Array; readonly isRemote: boolean }> {
    // As it is now: it may have been moved since the read began.
    const now = this.#shelf.get(blob.key);
    const sealed = now?.hot === true ? this.#shelf.chunk(blob.key, number) : undefined;
    if (sealed !== undefined) return { sealed, isRemote: false };
    if (now === undefined || now.pack === null) throw new SealBroken("a chunk is missing");
    const read = await this.#readAt(now.pack, now.pack.offset + offsetOf(blob.bytes, number), now);
    const length = sealedChunkBytes(blob.bytes, number);
    try {
      const bytes = await answerOf("R2", read.reader.exact(length));
      read.next += length;
      return { sealed: bytes, isRemote: true };
    } catch (cause) {
      this.#read = undefined;
      if (cause instanceof ServiceUnreachable && cause.cause instanceof RangeError) throw new SealBroken("a pack is too short", { cause });
      throw cause;
    }
  }

  /** A chunk from R2 that is valid. */
  bringBack(blob: Blob, number: number, sealed: Uint8Array): void {
    if (this.#shelf.get(blob.key) === undefined) return;
    this.#shelf.putChunk(blob.key, number, sealed);
    if (number + 1 === chunkCount(blob.bytes)) this.#shelf.warm(blob.key);
  }

  async cancel(): Promise<void> {
    const read = this.#read;
    this.#read = undefined;
    await read?.reader.cancel("done");
  }

  async #readAt(pack: Place, offset: number, blob: Blob): Promise<PackRead> {
    if (this.#read?.pack === pack.name && this.#read.next === offset && offset < this.#read.end) return this.#read;
    await this.cancel();
    const end = this.#runEnd(blob, pack);
    const object = await answerOf("R2", this.#r2.get(pack.name, { range: { offset, length: end - offset } }));
    if (object === null) throw new SealBroken("a pack is missing");
    this.#read = { reader: new ByteReader(object.body as ReadableStream<Uint8Array>), pack: pack.name, next: offset, end };
    return this.#read;
  }

  /** End of the blobs that lie one after another from this one on. */
  #runEnd(blob: Blob, pack: Place): number {
    let end = pack.offset + sealedBytes(blob.bytes);
    for (let at = this.#blobs.findIndex(({ key }) => key === blob.key) + 1; at < this.#blobs.length; at++) {
      const next = this.#blobs[at];
      if (next?.pack?.name !== pack.name || next.pack.offset !== end) break;
      end += sealedBytes(next.bytes);
    }
    return end;
  }
}

function offsetOf(plainBytes: number, number: number): number {
  let offset = 0;
  for (let at = 0; at < number; at++) offset += sealedChunkBytes(plainBytes, at);
  return offset;
}
