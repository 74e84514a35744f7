/** Moves what owners keep but do not use from the object's rows to R2: sealed chunks as they are, a snapshot's blobs in one pack. */
import type { Blob } from "../blobs/blob-shelf.ts";
import type { Collection } from "../index/collection.ts";
import { randomHex } from "../../../encoding/hex.ts";
import { chunkCount, sealedBytes } from "../seal/seal.ts";
import type { Snapshot } from "../index/snapshot-rows.ts";
import { upload } from "./upload.ts";

export interface DurableDependencies {
  readonly storage: DurableObjectStorage;
  readonly collection: Collection;
  readonly r2: R2Bucket;
  readonly tenant: string;
}

/** Snapshots that are kept, were not used since `cutoff`, and have blobs here that no fresher one has. */
export function idleSnapshots(
  { storage, collection }: Pick<DurableDependencies, "storage" | "collection">,
  cutoff: number,
  most: number,
): Snapshot[] {
  const idle = `proof IS NOT NULL AND used <= ? AND EXISTS (SELECT 1 FROM owners WHERE snapshot = snapshots.key)`;
  return collection.rows
    .select(`${idle} ORDER BY used`, cutoff)
    .filter(({ key }) => !collection.isRead(key) && idleBlobs(storage.sql, key, cutoff).length > 0)
    .slice(0, most);
}

/** @throws ServiceUnreachable; then everything is where it was. */
export async function moveToDurable(
  { storage, collection, r2, tenant }: DurableDependencies,
  snapshot: Snapshot,
  cutoff: number,
): Promise<void> {
  const { shelf, packs } = collection;
  const keys = new Set(idleBlobs(storage.sql, snapshot.key, cutoff));
  const blobs = collection.rows.placements(snapshot.key).flatMap(({ blob }) => (keys.has(blob) ? (shelf.get(blob) ?? []) : []));
  const name = `${tenant}/${randomHex()}`;
  packs.begin(name, lengthOf(blobs));
  try {
    const chunks = sealedChunks(collection, blobs);
    await upload({ service: "R2", bytes: lengthOf(blobs), chunks, put: (value) => r2.put(name, value) });
  } catch (cause) {
    packs.collect([name]);
    throw cause;
  }
  storage.transactionSync(() => {
    if (!packs.stored(name)) return;
    const stillIdle = collection.isRead(snapshot.key) ? new Set<number>() : new Set(idleBlobs(storage.sql, snapshot.key, cutoff));
    let offset = 0;
    for (const blob of blobs) {
      if (stillIdle.has(blob.key)) {
        shelf.place(blob.key, { name, offset });
        shelf.cool(blob.key);
      }
      offset += sealedBytes(blob.bytes);
    }
    packs.collect([name]);
  });
}

function idleBlobs(sql: SqlStorage, snapshot: number, cutoff: number): number[] {
  const rows = sql.exec<{ key: number }>(
    `SELECT key FROM blobs WHERE hot = 1 AND pack IS NULL AND key IN (SELECT blob FROM placements WHERE snapshot = ?)
     AND NOT EXISTS (SELECT 1 FROM placements JOIN snapshots ON snapshots.key = placements.snapshot WHERE placements.blob = blobs.key AND snapshots.used > ?)`,
    ...[snapshot, cutoff],
  );
  return rows.toArray().map(({ key }) => key);
}

function* sealedChunks({ shelf }: Collection, blobs: readonly Blob[]): Generator<Uint8Array> {
  for (const { key, bytes } of blobs)
    for (let number = 0; number < chunkCount(bytes); number++) {
      const chunk = shelf.chunk(key, number);
      if (chunk === undefined) throw new Error("a chunk has gone while it was moved");
      yield chunk;
    }
}

const lengthOf = (blobs: readonly Blob[]) => blobs.reduce((sum, { bytes }) => sum + sealedBytes(bytes), 0);
