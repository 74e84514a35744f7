import { DurableObject } from "cloudflare:workers";
import type { SessionEnvironment } from "../environment.ts";
import { directoryText, noteLength, overwriteRemoved, removeText } from "../storage/erase.ts";
import { hasTable } from "../storage/tables.ts";

export interface DirectoryRow {
  readonly id: string;
  readonly kind: "session" | "context";
  /** Unix seconds. */
  readonly updated: number;
}

export interface ShareEntry {
  readonly id: string;
  readonly session: string;
  readonly name: string;
  /** Unix seconds. */
  readonly created: number;
  readonly expires: number;
}

type ShareRow = ShareEntry & Record<string, SqlStorageValue>;

/** Lists a tenant's sessions and shares, and knows of those that nobody lists. What they are, each of them says itself. */
export class DirectoryObject extends DurableObject<SessionEnvironment> {
  readonly #sql: SqlStorage;

  #isEmpty: boolean;

  constructor(context: DurableObjectState, environment: SessionEnvironment) {
    super(context, environment);
    this.#sql = context.storage.sql;
    this.#isEmpty = !hasTable(this.#sql, "sessions");
    if (!this.#isEmpty) this.#makeRest();
  }

  /** Of what is about to be made, and of what nobody lists: whoever deletes the tenant finds it. Until so many Unix milliseconds, renewed or listed before. */
  announce(id: string, until: number): void {
    this.#makeTables();
    this.#sql.exec("DELETE FROM unlisted WHERE until <= ?", Date.now());
    this.#sql.exec("INSERT OR REPLACE INTO unlisted (id, until) VALUES (?, ?)", id, until);
  }

  put({ id, kind, updated }: DirectoryRow): void {
    this.#makeTables();
    this.#sql.exec("INSERT OR REPLACE INTO sessions (id, kind, updated) VALUES (?, ?, ?)", id, kind, updated);
    this.#sql.exec("DELETE FROM unlisted WHERE id = ?", id);
  }

  remove(id: string): void {
    if (this.#isEmpty) return;
    this.#sql.exec("DELETE FROM sessions WHERE id = ?", id);
    this.#sql.exec("DELETE FROM unlisted WHERE id = ?", id);
  }

  has(id: string): boolean {
    return !this.#isEmpty && this.#sql.exec("SELECT 1 FROM sessions WHERE id = ?", id).toArray().length > 0;
  }

  /** Latest first; `after` is the last of the list page before. */
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

  /** Listed or not. */
  all(): string[] {
    if (this.#isEmpty) return [];
    return Array.from(this.#sql.exec<{ id: string }>("SELECT id FROM sessions UNION SELECT id FROM unlisted"), ({ id }) => id);
  }

  count(): number {
    return this.#isEmpty ? 0 : this.#sql.exec<{ count: number }>("SELECT COUNT(*) AS count FROM sessions").one().count;
  }

  putShare({ id, session, name, created, expires }: ShareEntry): void {
    this.#makeTables();
    this.#sql.exec(
      "INSERT OR REPLACE INTO shares_of_sessions (id, session, name, created, expires) VALUES (?, ?, ?, ?, ?)",
      ...[id, session, name, created, expires],
    );
  }

  /** Of a session's. */
  sharesOf(session: string): string[] {
    if (this.#isEmpty) return [];
    return Array.from(this.#sql.exec<{ id: string }>("SELECT id FROM shares_of_sessions WHERE session = ?", session), ({ id }) => id);
  }

  hasShare(id: string): boolean {
    return !this.#isEmpty && this.#sql.exec("SELECT 1 FROM shares_of_sessions WHERE id = ?", id).toArray().length > 0;
  }

  /** Those that have not expired, latest first; `after` is the last of the list page before, `session` whose they are. */
  listShares(now: number, limit: number, after?: string, session?: string): ShareEntry[] {
    if (this.#isEmpty) return [];
    const last = this.#sql.exec<{ created: number }>("SELECT created FROM shares_of_sessions WHERE id = ?", after ?? "").toArray()[0];
    const bound = last?.created ?? Number.MAX_SAFE_INTEGER;
    const rows = this.#sql.exec<ShareRow>(
      `SELECT id, session, name, created, expires FROM shares_of_sessions WHERE expires > ? AND (? IS NULL OR session = ?)
       AND (created < ? OR (created = ? AND id < ?)) ORDER BY created DESC, id DESC LIMIT ?`,
      ...[now, session ?? null, session ?? null, bound, bound, after ?? "\u{10ffff}", limit],
    );
    return rows.toArray();
  }

  removeShare(id: string): void {
    if (this.#isEmpty) return;
    removeText(this.#sql, "shares_of_sessions", "id = ?", id);
    overwriteRemoved(this.ctx.storage, directoryText);
  }

  shares(): string[] {
    if (this.#isEmpty) return [];
    return Array.from(this.#sql.exec<{ id: string }>("SELECT id FROM shares_of_sessions"), ({ id }) => id);
  }

  /** One whose file is damaged knows of nothing: it is begun anew. */
  async wipe(): Promise<void> {
    await this.ctx.storage.deleteAll();
    this.#isEmpty = true;
  }

  /** Tables that directories of former versions may lack. */
  #makeRest(): void {
    this.#sql.exec("CREATE TABLE IF NOT EXISTS unlisted (id TEXT PRIMARY KEY, until INTEGER NOT NULL)");
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS shares_of_sessions (id TEXT PRIMARY KEY, session TEXT NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL)",
    );
  }

  #makeTables(): void {
    if (!this.#isEmpty) return;
    this.#sql.exec("CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, kind TEXT NOT NULL, updated INTEGER NOT NULL)");
    this.#makeRest();
    noteLength(this.#sql);
    this.#isEmpty = false;
  }
}
