/** A tenant's snapshots with all that hangs on them: adding, finding and removing them keeps rows, blobs and other services' objects in step. */
import { Charges } from "../account/charges.ts";
import { BlobShelf } from "../blobs/blob-shelf.ts";
import { Copies } from "../tiers/near-copies.ts";
import type { Tier } from "../contract.ts";
import { Demand } from "./demand.ts";
import { Owners } from "./owners.ts";
import { Packs } from "../blobs/packs.ts";
import { PrefixIndex } from "./prefix-index.ts";
import { createTables, tables } from "./schema.ts";
import { sealedBytes } from "../seal/seal.ts";
import { SnapshotRows, type Snapshot } from "./snapshot-rows.ts";
import { Trash } from "../blobs/trash.ts";

export class Collection {
  readonly rows: SnapshotRows;
  readonly shelf: BlobShelf;
  readonly index: PrefixIndex;
  readonly demand: Demand;
  readonly owners: Owners;
  readonly packs: Packs;
  readonly copies: Copies;
  readonly trash: Trash;
  readonly charges: Charges;
  readonly #storage: DurableObjectStorage;
  /** Snapshots that are being read. */
  readonly #readers = new Map<number, number>();

  /** `cacheMilliseconds`: how long a cached snapshot lives after its last use. */
  constructor(storage: DurableObjectStorage, cacheMilliseconds: number) {
    const { sql } = storage;
    createTables(sql);
    this.#storage = storage;
    this.trash = new Trash(sql);
    this.charges = new Charges(sql);
    this.packs = new Packs(sql, this.trash);
    this.copies = new Copies(sql, this.trash);
    this.rows = new SnapshotRows(sql);
    this.shelf = new BlobShelf(sql);
    this.index = new PrefixIndex(sql, this.rows);
    this.demand = new Demand(sql);
    this.owners = new Owners(sql, cacheMilliseconds);
  }

  /** After a restart: whatever was being written when the object went. */
  dropUnfinished(): void {
    this.#storage.transactionSync(() => {
      for (const { key } of this.rows.select("proof IS NULL")) this.remove(key);
      this.packs.dropUnfinished();
      this.copies.dropUnfinished();
      this.shelf.dropStrays();
    });
  }

  remove(key: number): void {
    this.#storage.transactionSync(() => {
      const snapshot = this.rows.get(key);
      if (snapshot === undefined) return;
      this.copies.remove(key);
      this.packs.collect(this.rows.remove(key, this.shelf));
      if (snapshot.cuttable) this.index.prune(snapshot.node);
    });
  }

  /** It is not valid, and nothing that has the same broken blob is. */
  removeBroken(key: number, blob: number | undefined): void {
    const others = blob === undefined ? [] : this.rows.withBlob(blob).map((snapshot) => snapshot.key);
    for (const each of [key, ...others]) this.remove(each);
  }

  /** These have lost an owner: those that nobody keeps any more become cached snapshots where anybody can find them, or go. */
  letGo(keys: readonly number[], now: number): void {
    for (const key of keys) {
      if (this.owners.keeps(key)) continue;
      if ((this.rows.get(key)?.node ?? null) === null) this.remove(key);
      else this.owners.renew(key, now);
    }
  }

  /** Removes what has expired; what is just being read goes the next time. */
  expire(now: number): void {
    this.#storage.transactionSync(() => {
      this.letGo(this.owners.expire(now), now);
      for (const key of this.owners.expiredEntries(now)) if (!this.isRead(key)) this.remove(key);
      this.copies.dropExpired(now);
      this.charges.expire(now);
    });
  }

  /** It is all here again, so its place in R2 is given up. */
  unpack(key: number): void {
    this.#storage.transactionSync(() => {
      const blobs = this.rows.placements(key).map(({ blob }) => this.shelf.get(blob));
      const names = blobs.flatMap((blob) => (blob?.hot === true && blob.pack !== null ? [blob.pack.name] : []));
      for (const blob of blobs) if (blob?.hot === true && blob.pack !== null) this.shelf.place(blob.key, null);
      this.packs.collect(new Set(names));
    });
  }

  removeAll(): void {
    this.#storage.transactionSync(() => {
      for (const { key } of this.rows.select("1 = 1")) this.remove(key);
      this.packs.dropUnfinished();
      for (const table of tables) if (table !== "trash") this.#storage.sql.exec(`DELETE FROM ${table}`);
    });
  }

  /** Until the returned function is called, the snapshot is being read. */
  beginReading(key: number): () => void {
    this.#readers.set(key, (this.#readers.get(key) ?? 0) + 1);
    let reading = true;
    return () => {
      if (!reading) return;
      reading = false;
      const left = (this.#readers.get(key) ?? 1) - 1;
      if (left === 0) this.#readers.delete(key);
      else this.#readers.set(key, left);
    };
  }

  isRead(key: number): boolean {
    return this.#readers.has(key);
  }

  tier({ key }: Snapshot, now: number): Tier {
    if (this.copies.isThere(key, now)) return "near";
    const cold =
      "SELECT 1 FROM placements JOIN blobs ON blobs.key = placements.blob WHERE placements.snapshot = ? AND blobs.hot = 0 LIMIT 1";
    return this.#storage.sql.exec(cold, key).toArray().length > 0 ? "durable" : "hot";
  }

  /** When something was last used that owners keep and that lies here; null where nothing does. */
  oldestKept(): number | null {
    const kept = "proof IS NOT NULL AND EXISTS (SELECT 1 FROM owners WHERE snapshot = snapshots.key)";
    const here =
      "EXISTS (SELECT 1 FROM placements JOIN blobs ON blobs.key = placements.blob WHERE placements.snapshot = snapshots.key AND hot = 1)";
    return this.#storage.sql.exec<{ used: number | null }>(`SELECT min(used) AS used FROM snapshots WHERE ${kept} AND ${here}`).one().used;
  }

  /** Sealed bytes of what no other snapshot has. */
  ownBytes({ key }: Snapshot): number {
    const own = `SELECT bytes FROM blobs WHERE key IN (SELECT blob FROM placements WHERE snapshot = ?)
      AND NOT EXISTS (SELECT 1 FROM placements WHERE blob = blobs.key AND snapshot <> ?)`;
    const blobs = this.#storage.sql.exec<{ bytes: number }>(own, key, key).toArray();
    return blobs.reduce((sum, { bytes }) => sum + sealedBytes(bytes), 0);
  }

  get bytes(): { readonly hot: number; readonly shared: number; readonly durable: number } {
    return { hot: this.shelf.hotBytes, shared: this.copies.bytes, durable: this.packs.bytes };
  }
}
