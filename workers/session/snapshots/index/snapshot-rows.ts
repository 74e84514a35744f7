/** What is known of each snapshot: whose state it is, which blobs it is made of, and who keeps it. */
import type { BlobShelf } from "../blobs/blob-shelf.ts";
import type { ModelIdentity } from "../contract.ts";

export interface Snapshot {
  readonly key: number;
  readonly id: string;
  readonly identity: ModelIdentity;
  /** `layoutOf` its header. */
  readonly layout: string;
  readonly tokens: number;
  readonly cuttable: boolean;
  readonly fileBytes: number;
  readonly node: string | null;
  readonly tail: string | null;
  /** Null while it is being written. */
  readonly proof: Uint8Array | null;
  /** Unix milliseconds of its last use, and how often it was opened. */
  readonly used: number;
  readonly opens: number;
}

export type NewSnapshot = Omit<Snapshot, "key" | "node" | "tail" | "proof" | "opens">;

/** The head is page 0 of group -1. */
export const headGroup = -1;

export interface Placement {
  readonly group: number;
  readonly page: number;
  readonly blob: number;
}

interface SnapshotRow extends Record<string, SqlStorageValue> {
  readonly key: number;
  readonly id: string;
  readonly model: string;
  readonly tokenizer: string;
  readonly layout: string;
  readonly tokens: number;
  readonly cuttable: number;
  readonly file_bytes: number;
  readonly node: string | null;
  readonly tail: string | null;
  readonly proof: ArrayBuffer | null;
  readonly used: number;
  readonly opens: number;
}

export class SnapshotRows {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** An unfinished one. */
  add({ id, identity, layout, tokens, cuttable, fileBytes, used }: NewSnapshot): number {
    return this.#sql
      .exec<{ key: number }>(
        `INSERT INTO snapshots (id, model, tokenizer, layout, tokens, cuttable, file_bytes, used)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING key`,
        ...[id, identity.model, identity.tokenizer, layout, tokens, Number(cuttable), fileBytes, used],
      )
      .one().key;
  }

  /** One that is finished. */
  finished(id: string): Snapshot | undefined {
    return this.select("id = ? AND proof IS NOT NULL", id)[0];
  }

  get(key: number): Snapshot | undefined {
    return this.select("key = ?", key)[0];
  }

  /** `where` is the code's own, never a caller's. */
  select(where: string, ...values: (string | number)[]): Snapshot[] {
    return this.#sql
      .exec<SnapshotRow>(`SELECT * FROM snapshots WHERE ${where}`, ...values)
      .toArray()
      .map(snapshotOf);
  }

  finish(key: number, proof: Uint8Array, node: string | null, tail: string | null): void {
    this.#sql.exec("UPDATE snapshots SET proof = ?, node = ?, tail = ? WHERE key = ?", proof, node, tail, key);
  }

  prove(key: number, proof: Uint8Array): void {
    this.#sql.exec("UPDATE snapshots SET proof = ? WHERE key = ?", proof, key);
  }

  touch(key: number, now: number, opened: 0 | 1): void {
    this.#sql.exec("UPDATE snapshots SET used = ?, opens = opens + ? WHERE key = ?", now, opened, key);
  }

  place(snapshot: number, { group, page, blob }: Placement): void {
    this.#sql.exec("INSERT OR REPLACE INTO placements (snapshot, page_group, page, blob) VALUES (?, ?, ?, ?)", snapshot, group, page, blob);
  }

  /** In the file's order. */
  placements(snapshot: number): Placement[] {
    return this.#sql
      .exec<{ group: number; page: number; blob: number }>(
        'SELECT page_group AS "group", page, blob FROM placements WHERE snapshot = ? ORDER BY page_group, page',
        snapshot,
      )
      .toArray();
  }

  withBlob(blob: number): Snapshot[] {
    return this.select("key IN (SELECT snapshot FROM placements WHERE blob = ?)", blob);
  }

  /** Deletes it and its placements; packs that nothing lies in by that. */
  remove(key: number, shelf: BlobShelf): string[] {
    const blobs = new Set(this.placements(key).map(({ blob }) => blob));
    this.#sql.exec("DELETE FROM placements WHERE snapshot = ?", key);
    this.#sql.exec("DELETE FROM owners WHERE snapshot = ?", key);
    this.#sql.exec("DELETE FROM snapshots WHERE key = ?", key);
    return shelf.collect(blobs);
  }
}

function snapshotOf(row: SnapshotRow): Snapshot {
  const { key, id, model, tokenizer, layout, tokens, cuttable, file_bytes: fileBytes, node, tail, proof, used, opens } = row;
  return {
    ...{ key, id, identity: { model, tokenizer }, layout, tokens, cuttable: cuttable === 1, fileBytes, node, tail, used, opens },
    proof: proof === null ? null : new Uint8Array(proof),
  };
}
