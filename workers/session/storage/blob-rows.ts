/** Bytes of any length in an object's SQLite, in rows of at most 1 MiB: what a row may hold differs from runtime to runtime. */
import { removeText, type TextTable } from "./erase.ts";

const rowBytes = 1 << 20;

export class BlobRows {
  readonly #sql: SqlStorage;
  readonly #table: TextTable;

  constructor(sql: SqlStorage, table: TextTable) {
    this.#sql = sql;
    this.#table = table;
  }

  makeTable(): void {
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS ${this.#table} (name TEXT NOT NULL, row INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (name, row))`,
    );
  }

  /** Under a name that has none yet; throws otherwise. */
  put(name: string, bytes: Uint8Array): void {
    for (let row = 0; row * rowBytes < Math.max(1, bytes.length); row++) {
      const part = bytes.slice(row * rowBytes, (row + 1) * rowBytes);
      this.#sql.exec(`INSERT INTO ${this.#table} (name, row, bytes) VALUES (?, ?, ?)`, name, row, part);
    }
  }

  get(name: string): Uint8Array | undefined {
    const rows = this.#sql.exec<{ bytes: ArrayBuffer }>(`SELECT bytes FROM ${this.#table} WHERE name = ? ORDER BY row`, name).toArray();
    if (rows.length === 0) return undefined;
    const whole = new Uint8Array(rows.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
    let at = 0;
    for (const { bytes } of rows) {
      whole.set(new Uint8Array(bytes), at);
      at += bytes.byteLength;
    }
    return whole;
  }

  /** Of all whose names begin so. */
  bytes(beginning: string): number {
    const sum = `SELECT coalesce(sum(length(bytes)), 0) AS bytes FROM ${this.#table} WHERE name >= ? AND name < ?`;
    return this.#sql.exec<{ bytes: number }>(sum, beginning, `${beginning}\u{10ffff}`).one().bytes;
  }

  /** All whose names begin so. */
  deleteAll(beginning: string): void {
    removeText(this.#sql, this.#table, "name >= ? AND name < ?", beginning, `${beginning}\u{10ffff}`);
  }

  delete(name: string): void {
    removeText(this.#sql, this.#table, "name = ?", name);
  }
}
