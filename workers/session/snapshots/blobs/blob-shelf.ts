/** Heads and pages: what is known of each, and the sealed chunks of those that are at hand. A blob lives while a snapshot has a place for it. */
import { sealedBytes } from "../seal/seal.ts";

export interface Blob {
  readonly key: number;
  /** Of a head random, of a page by its content. */
  readonly name: string;
  /** Of a page, which of its tokens' rows it holds; 0 of a head. */
  readonly mask: number;
  /** Before sealing. */
  readonly bytes: number;
  /** Whether its chunks are here. */
  readonly hot: boolean;
  /** Where in R2 it lies. */
  readonly pack: { readonly name: string; readonly offset: number } | null;
}

interface BlobRow extends Record<string, SqlStorageValue> {
  readonly key: number;
  readonly name: string;
  readonly mask: number;
  readonly bytes: number;
  readonly hot: number;
  readonly pack: string | null;
  readonly pack_offset: number | null;
}

export class BlobShelf {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  named(name: string): Blob | undefined {
    return this.#select("name = ?", name)[0];
  }

  get(key: number): Blob | undefined {
    return this.#select("key = ?", key)[0];
  }

  /** One whose chunks are here, or will be before any snapshot that has it is done. */
  add(name: string, mask: number, bytes: number): number {
    return this.#sql
      .exec<{ key: number }>("INSERT INTO blobs (name, mask, bytes, hot) VALUES (?, ?, ?, 1) RETURNING key", name, mask, bytes)
      .one().key;
  }

  putChunk(blob: number, number: number, bytes: Uint8Array): void {
    this.#sql.exec("INSERT OR REPLACE INTO chunks (blob, number, bytes) VALUES (?, ?, ?)", blob, number, bytes);
  }

  chunk(blob: number, number: number): Uint8Array | undefined {
    const [row] = this.#sql.exec<{ bytes: ArrayBuffer }>("SELECT bytes FROM chunks WHERE blob = ? AND number = ?", blob, number).toArray();
    return row === undefined ? undefined : new Uint8Array(row.bytes);
  }

  /** It has been packed; without `pack`, its place in R2 is given up. */
  place(blob: number, pack: Blob["pack"]): void {
    this.#sql.exec("UPDATE blobs SET pack = ?, pack_offset = ? WHERE key = ?", pack?.name ?? null, pack?.offset ?? null, blob);
  }

  warm(blob: number): void {
    this.#sql.exec("UPDATE blobs SET hot = 1 WHERE key = ?", blob);
  }

  cool(blob: number): void {
    this.#sql.exec("UPDATE blobs SET hot = 0 WHERE key = ?", blob);
    this.#sql.exec("DELETE FROM chunks WHERE blob = ?", blob);
  }

  /** Deletes those of these that no snapshot has any more; packs that they lay in. */
  collect(blobs: Iterable<number>): string[] {
    const packs = new Set<string>();
    for (const key of blobs) {
      if (this.#sql.exec("SELECT 1 FROM placements WHERE blob = ? LIMIT 1", key).toArray().length > 0) continue;
      const blob = this.get(key);
      this.#sql.exec("DELETE FROM chunks WHERE blob = ?", key);
      this.#sql.exec("DELETE FROM blobs WHERE key = ?", key);
      if (blob?.pack) packs.add(blob.pack.name);
    }
    return [...packs];
  }

  /** Chunks of what was on its way back from R2 when it was cut off. */
  dropStrays(): void {
    this.#sql.exec("DELETE FROM chunks WHERE blob NOT IN (SELECT key FROM blobs WHERE hot = 1)");
  }

  /** Sealed bytes that are here. */
  get hotBytes(): number {
    const rows = this.#sql.exec<{ bytes: number; count: number }>(
      "SELECT bytes, count(*) AS count FROM blobs WHERE hot = 1 GROUP BY bytes",
    );
    return rows.toArray().reduce((sum, { bytes, count }) => sum + count * sealedBytes(bytes), 0);
  }

  #select(where: string, value: string | number): Blob[] {
    return this.#sql
      .exec<BlobRow>(`SELECT key, name, mask, bytes, hot, pack, pack_offset FROM blobs WHERE ${where}`, value)
      .toArray()
      .map(blobOf);
  }
}

function blobOf({ key, name, mask, bytes, hot, pack, pack_offset: offset }: BlobRow): Blob {
  return { key, name, mask, bytes, hot: hot === 1, pack: pack === null ? null : { name: pack, offset: offset ?? 0 } };
}
