/** Copies cache entries that are opened often to KV, from where they are read near every edge. */
import type { Collection } from "./collection.ts";
import { within } from "./deadline.ts";
import type { Eviction } from "./eviction.ts";
import { pieceStream } from "./piece-stream.ts";
import type { Sealer } from "./seal.ts";
import { sealFile, sharedBytes } from "./shared-file.ts";
import { readSnapshot } from "./snapshot-reader.ts";
import type { Snapshot } from "./snapshot-rows.ts";

const OPENS = 3;
/** What a value in KV may hold. */
const MOST_BYTES = 25 * (1 << 20);
const LIFE_SECONDS = 86_400;
const WRITE_MILLISECONDS = 60_000;

export interface SharingParts {
  readonly collection: Collection;
  readonly eviction: Eviction;
  readonly sealer: Sealer;
  readonly r2: R2Bucket;
  readonly kv: KVNamespace;
  readonly tenant: string;
}

export const sharedName = (tenant: string, id: string) => `${tenant}/${id}`;

export function isWorthSharing(
  { collection, eviction }: Pick<SharingParts, "collection" | "eviction">,
  snapshot: Snapshot,
  now: number,
): boolean {
  const bytes = sharedBytes(snapshot.fileBytes);
  const isWanted = snapshot.opens >= OPENS && bytes <= MOST_BYTES;
  return isWanted && collection.copies.state(snapshot.key, now) === "none" && eviction.hasRoom(bytes);
}

/** @throws ServiceUnreachable, or what reading throws; then there is no copy. */
export async function share(parts: SharingParts, snapshot: Snapshot, now: number): Promise<void> {
  const { collection, sealer, kv, tenant } = parts;
  const { key, id, identity, tokens, fileBytes } = snapshot;
  const name = sharedName(tenant, id);
  collection.copies.begin(key, name, sharedBytes(fileBytes), now + LIFE_SECONDS * 1_000);
  const end = collection.beginReading(key);
  try {
    const { pieces } = await readSnapshot(parts, snapshot, tokens);
    const sealed = sealFile(sealer, { id, identity, tokens }, fileBytes, pieceStream(pieces));
    const { readable, writable } = new FixedLengthStream(sharedBytes(fileBytes));
    const work = Promise.all([kv.put(name, readable, { expirationTtl: LIFE_SECONDS }), pieceStream(sealed).pipeTo(writable)]);
    await within("KV", work, WRITE_MILLISECONDS);
    collection.copies.stored(name);
  } catch (cause) {
    collection.copies.remove(key);
    throw cause;
  } finally {
    end();
  }
}
