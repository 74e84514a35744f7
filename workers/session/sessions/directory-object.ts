import { DurableObject } from "cloudflare:workers";
import type { SessionEnvironment } from "../environment.ts";
import { hasTable } from "../storage/tables.ts";

export interface DirectoryEntry {
  readonly id: string;
  readonly kind: "session" | "context";
  /** Unix seconds. */
  readonly updated: number;
}

/** Lists a tenant's sessions. What they are, each of them says itself. */
export class DirectoryObject extends DurableObject<SessionEnvironment> {
  readonly #sql: SqlStorage;

  #isEmpty: boolean;

  constructor(context: DurableObjectState, environment: SessionEnvironment) {
    super(context, environment);
    this.#sql = context.storage.sql;
    this.#isEmpty = !hasTable(this.#sql, "sessions");
  }

  put({ id, kind, updated }: DirectoryEntry): void {
    this.#makeTables();
    this.#sql.exec("INSERT OR REPLACE INTO sessions (id, kind, updated) VALUES (?, ?, ?)", id, kind, updated);
  }

  remove(id: string): void {
    if (!this.#isEmpty) this.#sql.exec("DELETE FROM sessions WHERE id = ?", id);
  }

  has(id: string): boolean {
    return !this.#isEmpty && this.#sql.exec("SELECT 1 FROM sessions WHERE id = ?", id).toArray().length > 0;
  }

  /** Latest first; `after` is the last of the page before. */
  list(kind: "session" | "context", limit: number, after?: string): string[] {
    if (this.#isEmpty) return [];
    const last = this.#sql.exec<{ updated: number }>("SELECT updated FROM sessions WHERE id = ?", after ?? "").toArray()[0];
    const bound = last?.updated ?? Number.MAX_SAFE_INTEGER;
    const rows = this.#sql.exec<{ id: string }>(
      "SELECT id FROM sessions WHERE kind = ? AND (updated < ? OR (updated = ? AND id < ?)) ORDER BY updated DESC, id DESC LIMIT ?",
      ...[kind, bound, bound, after ?? "\u{10ffff}", limit],
    );
    return Array.from(rows, ({ id }) => id);
  }

  all(): string[] {
    if (this.#isEmpty) return [];
    return Array.from(this.#sql.exec<{ id: string }>("SELECT id FROM sessions"), ({ id }) => id);
  }

  count(): number {
    return this.#isEmpty ? 0 : this.#sql.exec<{ count: number }>("SELECT COUNT(*) AS count FROM sessions").one().count;
  }

  putShare(id: string): void {
    this.#makeTables();
    this.#sql.exec("INSERT OR REPLACE INTO shares (id) VALUES (?)", id);
  }

  removeShare(id: string): void {
    if (!this.#isEmpty) this.#sql.exec("DELETE FROM shares WHERE id = ?", id);
  }

  shares(): string[] {
    if (this.#isEmpty) return [];
    return Array.from(this.#sql.exec<{ id: string }>("SELECT id FROM shares"), ({ id }) => id);
  }

  #makeTables(): void {
    if (!this.#isEmpty) return;
    this.#sql.exec("CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, kind TEXT NOT NULL, updated INTEGER NOT NULL)");
    this.#sql.exec("CREATE TABLE IF NOT EXISTS shares (id TEXT PRIMARY KEY)");
    this.#isEmpty = false;
  }
}
