import { removeText } from "../storage/erase.ts";

/** Where a log's bytes lie. */
export interface LogRows {
  /** All of it or, where there is no room, nothing; throws then. */
  append(bytes: Uint8Array): void;
  /** In order. */
  read(): Iterable<ArrayBuffer | Uint8Array>;
  delete(): void;
}

/** In an object's SQLite, in rows far below what one may hold. */
export class SqlLogRows implements LogRows {
  static readonly #rowBytes = 512 << 10;
  readonly #storage: DurableObjectStorage;
  readonly #stream: string;

  readonly #onAppend: (bytes: number) => void;

  constructor(storage: DurableObjectStorage, stream: string, onAppend: (bytes: number) => void = () => undefined) {
    this.#storage = storage;
    this.#stream = stream;
    this.#onAppend = onAppend;
  }

  static makeTable(sql: SqlStorage): void {
    // A row's number is above all that are there, which orders those of a stream: `AUTOINCREMENT` would write a page more each time.
    sql.exec("CREATE TABLE IF NOT EXISTS log (row INTEGER PRIMARY KEY, stream TEXT NOT NULL, bytes BLOB NOT NULL)");
    sql.exec("CREATE INDEX IF NOT EXISTS log_of_stream ON log (stream, row)");
  }

  append(bytes: Uint8Array): void {
    // One row is written whole or not at all by itself.
    if (bytes.length <= SqlLogRows.#rowBytes) this.#insert(bytes);
    else
      this.#storage.transactionSync(() => {
        for (let at = 0; at < bytes.length; at += SqlLogRows.#rowBytes) this.#insert(bytes.slice(at, at + SqlLogRows.#rowBytes));
      });
    this.#onAppend(bytes.length);
  }

  #insert(row: Uint8Array): void {
    this.#storage.sql.exec("INSERT INTO log (stream, bytes) VALUES (?, ?)", this.#stream, row);
  }

  get bytes(): number {
    const sum = "SELECT coalesce(sum(length(bytes)), 0) AS bytes FROM log WHERE stream = ?";
    return this.#storage.sql.exec<{ bytes: number }>(sum, this.#stream).one().bytes;
  }

  *read(): Iterable<ArrayBuffer> {
    const { sql } = this.#storage;
    // One at a time: a cursor that waits for its reader would keep the table from being written anew.
    const next = "SELECT row, bytes FROM log WHERE stream = ? AND row > ? ORDER BY row LIMIT 1";
    for (let last = -1; ;) {
      const [found] = sql.exec<{ row: number; bytes: ArrayBuffer }>(next, this.#stream, last).toArray();
      if (found === undefined) return;
      last = found.row;
      yield found.bytes;
    }
  }

  delete(): void {
    removeText(this.#storage.sql, "log", "stream = ?", this.#stream);
  }
}

/** In memory, for an answer that can't be written down. */
export class InMemoryLogRows implements LogRows {
  #rows: Uint8Array[] = [];

  append(bytes: Uint8Array): void {
    this.#rows.push(bytes);
  }

  read(): Iterable<Uint8Array> {
    return this.#rows;
  }

  delete(): void {
    this.#rows = [];
  }
}
