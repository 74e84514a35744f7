import { removeText } from "../storage/erase.ts";

/** A conversation's tokens, all of them, 4 bytes each: what a state was made of, and what makes it again where it is lost. */
const rowTokens = 1 << 16;
const bytesPerToken = Uint32Array.BYTES_PER_ELEMENT;

interface Row extends Record<string, SqlStorageValue> {
  readonly first: number;
  readonly bytes: ArrayBuffer;
}

export class TokenLog {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  makeTable(): void {
    this.#sql.exec("CREATE TABLE IF NOT EXISTS tokens (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes BLOB NOT NULL)");
  }

  get length(): number {
    const [last] = this.#sql.exec<{ end: number | null }>("SELECT MAX(first + count) AS end FROM tokens").toArray();
    return last?.end ?? 0;
  }

  append(tokens: Uint32Array): void {
    let first = this.length;
    for (let at = 0; at < tokens.length; at += rowTokens) {
      const part = tokens.slice(at, at + rowTokens);
      this.#sql.exec("INSERT INTO tokens (first, count, bytes) VALUES (?, ?, ?)", first, part.length, part.buffer);
      first += part.length;
    }
  }

  /** Tokens from `start` up to and without `end`. */
  read(start: number, end: number): Uint32Array {
    const whole = new Uint32Array(Math.max(0, end - start));
    const rows = this.#sql.exec<Row>("SELECT first, bytes FROM tokens WHERE first < ? AND first + count > ? ORDER BY first", end, start);
    for (const { first, bytes } of rows) {
      const tokens = new Uint32Array(bytes);
      const from = Math.max(0, start - first);
      const to = Math.min(tokens.length, end - first);
      whole.set(tokens.subarray(from, to), first + from - start);
    }
    return whole;
  }

  /** Keeps the first `length` tokens. */
  truncate(length: number): void {
    const [row] = this.#sql.exec<Row>("SELECT first, bytes FROM tokens WHERE first < ? AND first + count > ?", length, length).toArray();
    removeText(this.#sql, "tokens", "first + count > ?", length);
    if (row === undefined) return;
    const kept = new Uint8Array(row.bytes, 0, (length - row.first) * bytesPerToken).slice();
    this.#sql.exec("INSERT INTO tokens (first, count, bytes) VALUES (?, ?, ?)", row.first, length - row.first, kept.buffer);
  }

  /** Ids that occur in the first `end` tokens. */
  distinct(end: number): Uint32Array {
    const seen = new Set<number>();
    for (let at = 0; at < end; at += rowTokens) for (const id of this.read(at, Math.min(end, at + rowTokens))) seen.add(id);
    return Uint32Array.from(seen);
  }
}
