/** Tables of a tenant's object. Sealed bytes lie in `chunks`, or in packs in R2; the rest says what they are and who keeps them. */
import { hasTable } from "../../storage/tables.ts";

export function createTables(sql: SqlStorage): void {
  for (const [older, name] of olderNames) if (hasTable(sql, older)) sql.exec(`ALTER TABLE ${older} RENAME TO ${name}`);
  sql.exec(`
    DROP INDEX IF EXISTS parts_by_blob;
    CREATE TABLE IF NOT EXISTS snapshots (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      model TEXT NOT NULL,
      tokenizer TEXT NOT NULL,
      layout TEXT NOT NULL,
      tokens INTEGER NOT NULL,
      cuttable INTEGER NOT NULL,
      file_bytes INTEGER NOT NULL,
      -- Digest of the chain's last whole page, and of the tokens after it; null where only owners use it.
      node TEXT,
      tail TEXT,
      -- Binds its placements to one another; null while the snapshot is being written.
      proof BLOB,
      used INTEGER NOT NULL,
      opens INTEGER NOT NULL DEFAULT 0,
      priority REAL NOT NULL DEFAULT 0,
      -- Of one that nobody keeps.
      expires INTEGER
    );
    CREATE INDEX IF NOT EXISTS snapshots_by_node ON snapshots (node);
    CREATE TABLE IF NOT EXISTS owners (
      snapshot INTEGER NOT NULL, owner TEXT NOT NULL, expires INTEGER, PRIMARY KEY (snapshot, owner)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS owners_by_name ON owners (owner);
    CREATE TABLE IF NOT EXISTS blobs (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      name TEXT NOT NULL UNIQUE,
      mask INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      hot INTEGER NOT NULL,
      pack TEXT,
      pack_offset INTEGER
    );
    CREATE INDEX IF NOT EXISTS blobs_by_pack ON blobs (pack);
    CREATE TABLE IF NOT EXISTS chunks (blob INTEGER NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (blob, number));
    -- The head is group -1.
    CREATE TABLE IF NOT EXISTS placements (
      snapshot INTEGER NOT NULL, page_group INTEGER NOT NULL, page INTEGER NOT NULL, blob INTEGER NOT NULL,
      PRIMARY KEY (snapshot, page_group, page)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS placements_by_blob ON placements (blob);
    -- Pages of the chains of snapshots that can be cut.
    CREATE TABLE IF NOT EXISTS nodes (digest TEXT PRIMARY KEY, previous TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS nodes_by_previous ON nodes (previous);
    CREATE TABLE IF NOT EXISTS asked (digest TEXT PRIMARY KEY, count REAL NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS packs (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, stored INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS copies (
      snapshot INTEGER PRIMARY KEY, name TEXT NOT NULL, bytes INTEGER NOT NULL, expires INTEGER NOT NULL, stored INTEGER NOT NULL
    );
    -- What other services still have to delete.
    CREATE TABLE IF NOT EXISTS trash (service TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (service, name)) WITHOUT ROWID;
    -- What sessions, contexts, shares and streams hold in objects of their own, and the sums by kind.
    CREATE TABLE IF NOT EXISTS charges (owner TEXT PRIMARY KEY, kind TEXT NOT NULL, bytes INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS charges_by_end ON charges (until);
    CREATE TABLE IF NOT EXISTS charged (kind TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
  `);
}

/** What the tables are called in objects that an earlier version made; what lies in them stays. */
const olderNames = [
  ["pieces", "chunks"],
  ["parts", "placements"],
] as const;

export const tables = [
  ...(["snapshots", "owners", "blobs", "chunks", "placements", "nodes", "asked", "packs", "copies", "trash"] as const),
  ...(["charges", "charged", "facts"] as const),
] as const;
