import { DurableObject } from "cloudflare:workers";
import type { SessionEnvironment } from "../environment.ts";

export interface DirectoryEntry {
  readonly id: string;
  readonly kind: "session" | "context";
  /** Unix seconds. */
  readonly updated: number;
}

/** Lists a tenant's sessions. What they are, each of them says itself. */
export class DirectoryObject extends DurableObject<SessionEnvironment> {
  readonly #sql: SqlStorage;

  constructor(context: DurableObjectState, environment: SessionEnvironment) {
    super(context, environment);
    this.#sql = context.storage.sql;
    this.#sql.exec("CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, kind TEXT NOT NULL, updated INTEGER NOT NULL)");
    this.#sql.exec("CREATE TABLE IF NOT EXISTS shares (id TEXT PRIMARY KEY)");
  }

  put({ id, kind, updated }: DirectoryEntry): void {
    this.#sql.exec("INSERT OR REPLACE INTO sessions (id, kind, updated) VALUES (?, ?, ?)", id, kind, updated);
  }

  remove(id: string): void {
    this.#sql.exec("DELETE FROM sessions WHERE id = ?", id);
  }

  /** Latest first; `after` is the last of the page before. */
  list(kind: "session" | "context", limit: number, after?: string): string[] {
    const last = this.#sql.exec<{ updated: number }>("SELECT updated FROM sessions WHERE id = ?", after ?? "").toArray()[0];
    const bound = last?.updated ?? Number.MAX_SAFE_INTEGER;
    const rows = this.#sql.exec<{ id: string }>(
      "SELECT id FROM sessions WHERE kind = ? AND (updated < ? OR (updated = ? AND id < ?)) ORDER BY updated DESC, id DESC LIMIT ?",
      ...[kind, bound, bound, after ?? "\u{10ffff}", limit],
    );
    return Array.from(rows, ({ id }) => id);
  }

  all(): string[] {
    return Array.from(this.#sql.exec<{ id: string }>("SELECT id FROM sessions"), ({ id }) => id);
  }

  count(): number {
    return this.#sql.exec<{ count: number }>("SELECT COUNT(*) AS count FROM sessions").one().count;
  }

  putShare(id: string): void {
    this.#sql.exec("INSERT OR REPLACE INTO shares (id) VALUES (?)", id);
  }

  removeShare(id: string): void {
    this.#sql.exec("DELETE FROM shares WHERE id = ?", id);
  }

  shares(): string[] {
    return Array.from(this.#sql.exec<{ id: string }>("SELECT id FROM shares"), ({ id }) => id);
  }
}
