/** Reads a snapshot as a whole state file, or the file of an earlier position, chunk by chunk. */
import { ServiceError } from "../../contracts/errors.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import { snapshotInvalid } from "../../state-file/failures.ts";
import type { Blob } from "./blobs/blob-shelf.ts";
import { BlobSource } from "./blobs/blob-source.ts";
import type { Collection } from "./index/collection.ts";
import { headContext, pageContext } from "./seal/chunk-context.ts";
import { checkProof } from "./seal/proof.ts";
import { BlobBroken, chunkBytes, chunkCount, SealBroken, type ChunkContext, type Sealer } from "./seal/seal.ts";
import { headGroup, type Placement, type Snapshot } from "./index/snapshot-rows.ts";
import { cutHeader, layoutOf, parseHeader, type StateHeader } from "../../state-file/header.ts";
import { contains, pagesOf, takeRows, type PageRows } from "../../state-file/layout.ts";

export interface ReaderDependencies {
  readonly collection: Collection;
  readonly sealer: Sealer;
  readonly r2: R2Bucket;
}

/** A snapshot whose head has been read and holds. */
export interface ReadableSnapshot {
  readonly tokens: number;
  /** Plain chunks in the file's order, each at most 1 MiB and in memory of its own, as a byte stream takes it. @throws SealBroken @throws ServiceUnreachable */
  readonly chunks: AsyncGenerator<Uint8Array, void, undefined>;
}

/** Cut to `keep` tokens where that is fewer, without rows in pages before `fromPage`. @throws ServiceError where it cannot be cut. @throws SealBroken @throws ServiceUnreachable */
export async function readSnapshot(
  dependencies: ReaderDependencies,
  snapshot: Snapshot,
  keep: number,
  fromPage = 0,
): Promise<ReadableSnapshot> {
  const tokens = Math.min(keep, snapshot.tokens);
  if (tokens < snapshot.tokens && !snapshot.cuttable)
    throw new ServiceError(
      snapshotInvalid(`keep: it must be ${String(snapshot.tokens)} at least, because this state cannot be cut; it is ${String(keep)}`),
    );
  const reader = new SnapshotReader(dependencies, snapshot);
  try {
    return { tokens, chunks: await reader.start(tokens, fromPage) };
  } catch (cause) {
    await reader.end();
    throw cause;
  }
}

interface Place {
  readonly placement: Placement;
  readonly blob: Blob;
}

class SnapshotReader {
  readonly #dependencies: ReaderDependencies;
  readonly #snapshot: Snapshot;
  #places: ReadonlyMap<string, Place>;
  readonly #source: BlobSource;

  constructor(dependencies: ReaderDependencies, snapshot: Snapshot) {
    this.#dependencies = dependencies;
    this.#snapshot = snapshot;
    this.#places = this.#find(snapshot);
    this.#source = new BlobSource(
      dependencies.collection.shelf,
      dependencies.r2,
      Array.from(this.#places.values(), ({ blob }) => blob),
    );
  }

  async start(tokens: number, fromPage: number): Promise<AsyncGenerator<Uint8Array, void, undefined>> {
    await this.#check(this.#snapshot);
    const head = this.#places.get(placeOf(headGroup, 0))?.blob;
    if (head === undefined) throw new SealBroken("the head is missing");
    const first = await this.#chunk(head, this.#headContext(head), 0);
    const header = parseHeader(first);
    if (layoutOf(header) !== this.#snapshot.layout) throw new SealBroken("the header is that of another state");
    const wanted = tokens === this.#snapshot.tokens ? header : cutHeader(header, tokens + header.learnedSinks);
    return this.#chunks(head, first, wanted, fromPage);
  }

  async end(): Promise<void> {
    await this.#source.cancel();
  }

  async *#chunks(head: Blob, first: Uint8Array, header: StateHeader, fromPage: number): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield header.bytes.slice();
      if (first.length > header.bytes.length) yield first.slice(header.bytes.length);
      for (let number = 1; number < chunkCount(head.bytes); number++) yield await this.#chunk(head, this.#headContext(head), number);
      for (const [group, shape] of header.groups.entries())
        for (const rows of pagesOf(header, shape, fromPage)) yield* inChunks(await this.#page(group, rows, shape.tokenBytes));
    } finally {
      await this.end();
    }
  }

  async #page(group: number, { page, mask }: PageRows, tokenBytes: number, isAgain = false): Promise<Uint8Array> {
    const blob = this.#places.get(placeOf(group, page))?.blob;
    if (blob === undefined || !contains(blob.mask, mask)) throw new SealBroken(`page ${String(page)} is missing`);
    const context = pageContext(blob, this.#snapshot.identity, group, page);
    const rows = new Uint8Array(blob.bytes);
    try {
      for (let number = 0; number < context.count; number++) rows.set(await this.#chunk(blob, context, number), number * chunkBytes);
    } catch (cause) {
      // A fuller page stands for this one since the read began.
      if (isAgain || this.#dependencies.collection.shelf.get(blob.key) !== undefined) throw cause;
      await this.#findAgain();
      return await this.#page(group, { page, mask }, tokenBytes, true);
    }
    return takeRows(rows, blob.mask, mask, tokenBytes);
  }

  async #findAgain(): Promise<void> {
    const snapshot = this.#dependencies.collection.rows.get(this.#snapshot.key);
    if (snapshot === undefined) throw new SealBroken("it is gone");
    this.#places = this.#find(snapshot);
    await this.#check(snapshot);
  }

  #find(snapshot: Snapshot): ReadonlyMap<string, Place> {
    const { rows, shelf } = this.#dependencies.collection;
    return new Map(
      rows.placements(snapshot.key).map((placement) => {
        const blob = shelf.get(placement.blob);
        if (blob === undefined) throw new SealBroken("a blob is missing");
        return [placeOf(placement.group, placement.page), { placement, blob }];
      }),
    );
  }

  async #check(snapshot: Snapshot): Promise<void> {
    const placements = Array.from(this.#places.values(), ({ placement }) => placement);
    await checkProof(this.#dependencies.sealer, this.#dependencies.collection.shelf, snapshot, placements);
  }

  async #chunk(blob: Blob, context: Omit<ChunkContext, "number">, number: number): Promise<Uint8Array> {
    try {
      const { sealed, isRemote } = await this.#source.chunk(blob, number);
      const plain = await this.#dependencies.sealer.open(sealed, { ...context, number });
      if (isRemote) this.#bringBack(blob, number, sealed);
      return plain;
    } catch (cause) {
      throw cause instanceof SealBroken ? new BlobBroken(blob.key, cause) : cause;
    }
  }

  /** Storage that has no room for it takes nothing from the read. */
  #bringBack(blob: Blob, number: number, sealed: Uint8Array): void {
    try {
      this.#source.bringBack(blob, number, sealed);
    } catch (cause) {
      logLine("error", "snapshot_not_brought_back", { cause: describeCause(cause) });
    }
  }

  #headContext(head: Blob): Omit<ChunkContext, "number"> {
    return headContext(head.name, this.#snapshot.identity, this.#snapshot.tokens, head.bytes);
  }
}

const placeOf = (group: number, page: number) => `${String(group)}:${String(page)}`;

function* inChunks(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.slice(at, at + chunkBytes);
}
