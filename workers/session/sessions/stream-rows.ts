/** The streams of a session's turns that can still be read: they end with it. */
import { longestStreamMilliseconds } from "../settings.ts";
import { hasTable } from "../storage/tables.ts";

export class StreamRows {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  begin(stream: string): void {
    this.#sql.exec("CREATE TABLE IF NOT EXISTS streams (stream TEXT PRIMARY KEY, ended INTEGER)");
    this.#sql.exec("DELETE FROM streams WHERE ended < ?", Date.now() - longestStreamMilliseconds);
    this.#sql.exec("INSERT OR REPLACE INTO streams (stream, ended) VALUES (?, NULL)", stream);
  }

  end(stream: string): void {
    if (hasTable(this.#sql, "streams")) this.#sql.exec("UPDATE streams SET ended = ? WHERE stream = ?", Date.now(), stream);
  }

  has(stream: string): boolean {
    return hasTable(this.#sql, "streams") && this.#sql.exec("SELECT 1 FROM streams WHERE stream = ?", stream).toArray().length > 0;
  }

  forget(stream: string): void {
    if (hasTable(this.#sql, "streams")) this.#sql.exec("DELETE FROM streams WHERE stream = ?", stream);
  }

  all(): string[] {
    if (!hasTable(this.#sql, "streams")) return [];
    return Array.from(this.#sql.exec<{ stream: string }>("SELECT stream FROM streams"), ({ stream }) => stream);
  }
}
