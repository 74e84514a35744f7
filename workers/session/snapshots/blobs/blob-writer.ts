/** Seals heads and pages of one snapshot that is being written, and puts them on the shelf in their places. */
import { ServiceError } from "../../../contracts/errors.ts";
import { snapshotInvalid } from "../../../state-file/failures.ts";
import type { ByteReader } from "../../../state-file/byte-reader.ts";
import type { Collection } from "../index/collection.ts";
import type { ModelIdentity } from "../contract.ts";
import { randomHex } from "../../../encoding/hex.ts";
import { pageName } from "./page-names.ts";
import { headContext, pageContext } from "../seal/chunk-context.ts";
import { chunkBytes, chunkCount, sealedBytes, type ChunkContext, type Sealer } from "../seal/seal.ts";
import { headGroup, type Placement } from "../index/snapshot-rows.ts";
import type { StateHeader } from "../../../state-file/header.ts";
import type { PageRows } from "../../../state-file/layout.ts";
import type { TenantKeys } from "../seal/tenant-keys.ts";

export interface BlobWriterDependencies {
  readonly storage: DurableObjectStorage;
  readonly collection: Collection;
  readonly keys: TenantKeys;
  readonly sealer: Sealer;
}

export class BlobWriter {
  readonly #dependencies: BlobWriterDependencies;
  readonly #snapshot: number;
  readonly #identity: ModelIdentity;
  readonly #layout: string;
  #written = 0;

  constructor(dependencies: BlobWriterDependencies, snapshot: number, identity: ModelIdentity, layout: string) {
    this.#dependencies = dependencies;
    this.#snapshot = snapshot;
    this.#identity = identity;
    this.#layout = layout;
  }

  /** Sealed bytes that were not there before. */
  get written(): number {
    return this.#written;
  }

  /** The header and the head that follows it in the file, chunk by chunk. */
  async writeHead(header: StateHeader, tokens: number, reader: ByteReader): Promise<void> {
    const { collection, storage, sealer } = this.#dependencies;
    const bytes = header.bytes.length + header.headBytes;
    const name = randomHex();
    const blob = storage.transactionSync(() => this.#place(headGroup, 0, collection.shelf.add(name, 0, bytes)));
    const context = headContext(name, this.#identity, tokens, bytes);
    for (let number = 0; number < context.count; number++) {
      const plain = new Uint8Array(Math.min(chunkBytes, bytes - number * chunkBytes));
      const known = number === 0 ? header.bytes : new Uint8Array();
      plain.set(known);
      plain.set(await reader.exact(plain.length - known.length), known.length);
      const sealed = await sealer.seal(plain, { ...context, number });
      this.assertWanted();
      collection.shelf.putChunk(blob, number, sealed);
    }
    this.#written += sealedBytes(bytes);
  }

  /** Written only where no equal one is there. Its blob. */
  async writePage(group: number, rows: PageRows, bytes: Uint8Array): Promise<number> {
    const { storage, collection } = this.#dependencies;
    const name = await this.nameOf(group, rows, bytes);
    const isThere = collection.shelf.named(name) !== undefined;
    const context = pageContext({ name, mask: rows.mask, bytes: bytes.length }, this.#identity, group, rows.page);
    const sealed = isThere ? [] : await this.#seal(context, bytes);
    const blob = storage.transactionSync(() => {
      this.assertWanted();
      const key = collection.shelf.named(name)?.key ?? this.#addPage(name, rows.mask, bytes.length, sealed);
      return key === undefined ? undefined : this.#place(group, rows.page, key);
    });
    // Where the one that was there has gone meanwhile.
    return blob ?? (await this.writePage(group, rows, bytes));
  }

  async nameOf(group: number, { page, mask }: PageRows, bytes: Uint8Array): Promise<string> {
    return await pageName(this.#dependencies.keys, { identity: this.#identity, layout: this.#layout, group, page, mask }, bytes);
  }

  /** @throws ServiceError where the snapshot was deleted while it was written. */
  assertWanted(): void {
    if (this.#dependencies.collection.rows.get(this.#snapshot) === undefined)
      throw new ServiceError(snapshotInvalid("snapshot: it was deleted while it was written"));
  }

  async #seal(context: Omit<ChunkContext, "number">, bytes: Uint8Array): Promise<Uint8Array[]> {
    const sealed: Uint8Array[] = [];
    for (let number = 0; number < chunkCount(bytes.length); number++)
      sealed.push(
        await this.#dependencies.sealer.seal(bytes.subarray(number * chunkBytes, (number + 1) * chunkBytes), { ...context, number }),
      );
    return sealed;
  }

  #addPage(name: string, mask: number, bytes: number, sealed: readonly Uint8Array[]): number | undefined {
    if (sealed.length === 0) return undefined;
    const { shelf } = this.#dependencies.collection;
    const key = shelf.add(name, mask, bytes);
    for (const [number, chunk] of sealed.entries()) shelf.putChunk(key, number, chunk);
    this.#written += sealedBytes(bytes);
    return key;
  }

  #place(group: Placement["group"], page: number, blob: number): number {
    this.#dependencies.collection.rows.place(this.#snapshot, { group, page, blob });
    return blob;
  }
}
