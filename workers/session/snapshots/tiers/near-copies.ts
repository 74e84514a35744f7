/** Copies of cached snapshots in KV: written down before they are written, until they expire there. Never the only place of anything. */
import type { Trash } from "../blobs/trash.ts";

export class Copies {
  readonly #sql: SqlStorage;
  readonly #trash: Trash;

  constructor(sql: SqlStorage, trash: Trash) {
    this.#sql = sql;
    this.#trash = trash;
  }

  begin(snapshot: number, name: string, bytes: number, expires: number): void {
    this.#sql.exec("INSERT INTO copies (snapshot, name, bytes, expires, stored) VALUES (?, ?, ?, ?, 0)", snapshot, name, bytes, expires);
  }

  /** It is in KV; where it has been given up meanwhile, it is thrown away again. */
  stored(name: string): void {
    if (this.#sql.exec("UPDATE copies SET stored = 1 WHERE name = ?", name).rowsWritten === 0) this.#trash.add("KV", name);
  }

  /** Whether one is there to be read. */
  isThere(snapshot: number, now: number): boolean {
    return this.#sql.exec("SELECT 1 FROM copies WHERE snapshot = ? AND stored = 1 AND expires > ?", snapshot, now).toArray().length > 0;
  }

  /** Whether one is there, or on its way. */
  isKnown(snapshot: number): boolean {
    return this.#sql.exec("SELECT 1 FROM copies WHERE snapshot = ?", snapshot).toArray().length > 0;
  }

  remove(snapshot: number): void {
    const gone = this.#sql.exec<{ name: string }>("DELETE FROM copies WHERE snapshot = ? RETURNING name", snapshot);
    for (const { name } of gone.toArray()) this.#trash.add("KV", name);
  }

  /** Those that KV no longer has, and those whose writing was cut off. */
  dropExpired(now: number): void {
    const gone = this.#sql.exec<{ name: string }>("DELETE FROM copies WHERE expires <= ? RETURNING name", now);
    for (const { name } of gone.toArray()) this.#trash.add("KV", name);
  }

  dropUnfinished(): void {
    const gone = this.#sql.exec<{ name: string }>("DELETE FROM copies WHERE stored = 0 RETURNING name");
    for (const { name } of gone.toArray()) this.#trash.add("KV", name);
  }

  get bytes(): number {
    return this.#sql.exec<{ bytes: number }>("SELECT coalesce(sum(bytes), 0) AS bytes FROM copies").one().bytes;
  }
}
