/**
 * Deletes users' text so that the object's file does not keep it. SQLite only forgets where a deleted row lies: its bytes stay in free pages, in
 * the free space of pages, and as copies where rows were moved. `PRAGMA secure_delete` and `VACUUM` are refused by the runtime, so both are done
 * here: tables are written anew, and all pages that are free then are filled with zeros.
 */
import { describeCause, logLine } from "../../observe/log-line.ts";
import { hasTable } from "./tables.ts";

/** Tables with users' text or tokens, by the object that has them. Rows leave them through {@link removeText} only; `npm run check` sees to it. */
export const sessionText = ["record", "turns", "turn_messages", "turn_responses", "tokens"] as const;
export const streamText = ["orders", "order_parts", "log"] as const;
export const directoryText = ["shares_of_sessions"] as const;

export type TextTable = (typeof sessionText | typeof streamText | typeof directoryText)[number];

/** Two of these fill a page to its last byte, for rowids take nine bytes where they are negative. */
const halfPageBytes = 2_027;
const pageBytes = 4_096;
const firstRowid = Number.MIN_SAFE_INTEGER;
/** Of one table: what its root page has room to list, so that no page but its root lists pages. */
const mostRows = 512;
/** Free pages that replaced rows may have left since the file's length was last noted. */
const replacedBytes = 16 * pageBytes;

/**
 * Notes how long the file may be: the runtime tells the bytes of the pages in use, and not those of the free ones. Called when an object makes its
 * tables, so that the note has a page in which no text was, and before all that gives pages up.
 */
export function noteLength(sql: SqlStorage): void {
  sql.exec("CREATE TABLE IF NOT EXISTS file_length (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL)");
  const most = Math.max(notedLength(sql), sql.databaseSize + replacedBytes);
  sql.exec("INSERT OR REPLACE INTO file_length (one, bytes) VALUES (1, ?)", most);
}

/** Deletes rows, whose bytes the next {@link overwriteRemoved} takes out of the file. `where` is the code's own, never a caller's. */
export function removeText(sql: SqlStorage, table: TextTable, where: string, ...values: readonly SqlStorageValue[]): void {
  noteLength(sql);
  sql.exec(`DELETE FROM ${table} WHERE ${where}`, ...values);
}

/**
 * Takes the bytes of all removed and replaced rows out of the file, in time that is proportional to its length. No cursor may be open on these
 * tables, which must be all with text that the object has. Where it fails, for want of room, it says so in the log; then the next one does it.
 */
export function overwriteRemoved(storage: DurableObjectStorage, tables: readonly TextTable[]): void {
  const { sql } = storage;
  try {
    // Within a transaction of this kind SQLite writes what a page held when it became free, which it does not otherwise.
    storage.transactionSync(() => {
      noteLength(sql);
      const length = notedLength(sql);
      // Before as well: what is new takes free pages, whose bytes stay where no row comes to lie. So nothing is dropped before all is written.
      fillFreePages(sql, length);
      const there = tables.filter((table) => hasTable(sql, table));
      for (const table of there) writeAnew(sql, table);
      const longest = Math.max(length, sql.databaseSize);
      for (const table of there) {
        sql.exec(`DROP TABLE ${table}`);
        sql.exec(`ALTER TABLE ${table}_anew RENAME TO ${table}`);
      }
      sql.exec("UPDATE file_length SET bytes = ?", fillFreePages(sql, longest));
    });
  } catch (cause) {
    logLine("error", "text_not_erased", { cause: describeCause(cause) });
  }
}

function notedLength(sql: SqlStorage): number {
  return sql.exec<{ bytes: number }>("SELECT bytes FROM file_length").toArray()[0]?.bytes ?? 0;
}

/** A copy without gaps that had rows in them, with the table's indexes. */
function writeAnew(sql: SqlStorage, table: TextTable): void {
  const [definition = ""] = definitions(sql, "table", table);
  sql.exec(definition.replace(/^CREATE TABLE "?\w+"?/, `CREATE TABLE ${table}_anew`));
  sql.exec(`INSERT INTO ${table}_anew SELECT * FROM ${table}`);
  for (const index of definitions(sql, "index", table)) {
    sql.exec(index.replace(/^CREATE INDEX (\w+)[^]*/, "DROP INDEX $1"));
    sql.exec(index.replace(/ ON "?\w+"?/, ` ON ${table}_anew`));
  }
}

function definitions(sql: SqlStorage, type: "table" | "index", table: TextTable): string[] {
  const rows = sql.exec<{ sql: string }>("SELECT sql FROM sqlite_master WHERE type = ? AND tbl_name = ? AND sql IS NOT NULL", type, table);
  return Array.from(rows, (row) => row.sql);
}

/** With rows of zeros, until the pages in use are all that the file has; how long it is then, in bytes. */
function fillFreePages(sql: SqlStorage, length: number): number {
  const names: string[] = [];
  while (sql.databaseSize < length) {
    const name = `zeros_${String(names.length)}`;
    names.push(name);
    sql.exec(`CREATE TABLE ${name} (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)`);
    const rows = Math.min(mostRows, Math.ceil((length - sql.databaseSize) / pageBytes) * 2);
    if (rows > 0)
      sql.exec(
        `WITH RECURSIVE ids (id) AS (SELECT ? UNION ALL SELECT id + 1 FROM ids LIMIT ?)
         INSERT INTO ${name} (id, bytes) SELECT id, zeroblob(?) FROM ids`,
        ...[firstRowid, rows, halfPageBytes],
      );
  }
  const filled = Math.max(length, sql.databaseSize);
  for (const name of names) sql.exec(`DROP TABLE ${name}`);
  return filled;
}
