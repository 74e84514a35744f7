/** Who keeps which snapshot, and until when. What nobody keeps is a cached snapshot, whose end the store decides. */
export class Owners {
  readonly #sql: SqlStorage;
  readonly #cacheMilliseconds: number;

  constructor(sql: SqlStorage, cacheMilliseconds: number) {
    this.#sql = sql;
    this.#cacheMilliseconds = cacheMilliseconds;
  }

  /** Until `expires`; null: until it is let go. */
  add(snapshot: number, owner: string, expires: number | null): void {
    this.#sql.exec("INSERT OR REPLACE INTO owners (snapshot, owner, expires) VALUES (?, ?, ?)", snapshot, owner, expires);
  }

  keeps(snapshot: number): boolean {
    return this.#sql.exec("SELECT 1 FROM owners WHERE snapshot = ? LIMIT 1", snapshot).toArray().length > 0;
  }

  /** Used again: a cached snapshot lives on. */
  renew(snapshot: number, now: number): void {
    this.#sql.exec("UPDATE snapshots SET expires = ? WHERE key = ?", now + this.#cacheMilliseconds, snapshot);
  }

  /** Snapshots that these let go of. */
  release(prefix: string): number[] {
    const end = `${prefix}\u{10ffff}`;
    return snapshots(this.#sql.exec<Released>("DELETE FROM owners WHERE owner >= ? AND owner < ? RETURNING snapshot", prefix, end));
  }

  expire(now: number): number[] {
    return snapshots(this.#sql.exec<Released>("DELETE FROM owners WHERE expires <= ? RETURNING snapshot", now));
  }

  /** Cached snapshots whose time is over; one that a clock gave far too much of is given what is usual. */
  expiredEntries(now: number): number[] {
    const latest = now + this.#cacheMilliseconds;
    const unkept = "proof IS NOT NULL AND NOT EXISTS (SELECT 1 FROM owners WHERE owners.snapshot = snapshots.key)";
    this.#sql.exec("UPDATE snapshots SET expires = ? WHERE expires > ?", latest, latest);
    this.#sql.exec(`UPDATE snapshots SET expires = ? WHERE expires IS NULL AND ${unkept}`, latest);
    return snapshots(this.#sql.exec<Released>(`SELECT key AS snapshot FROM snapshots WHERE expires <= ? AND ${unkept}`, now));
  }

  /** When the next of all these ends; null where none does. */
  nextEnd(): number | null {
    const { end } = this.#sql
      .exec<{ end: number | null }>(
        `SELECT min(end) AS end FROM (SELECT min(expires) AS end FROM owners UNION ALL SELECT min(expires) FROM snapshots
         WHERE NOT EXISTS (SELECT 1 FROM owners WHERE owners.snapshot = snapshots.key))`,
      )
      .one();
    return end;
  }
}

interface Released extends Record<string, SqlStorageValue> {
  readonly snapshot: number;
}

function snapshots(rows: Iterable<Released>): number[] {
  return [...new Set(Array.from(rows, ({ snapshot }) => snapshot))];
}
