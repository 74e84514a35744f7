/** Objects in R2 that blobs lie in one after another. A pack is written down before it is written, and goes when nothing lies in it any more. */
import type { Trash } from "./trash.ts";

export class Packs {
  readonly #sql: SqlStorage;
  readonly #trash: Trash;

  constructor(sql: SqlStorage, trash: Trash) {
    this.#sql = sql;
    this.#trash = trash;
  }

  begin(name: string, bytes: number): void {
    this.#sql.exec("INSERT INTO packs (name, bytes, stored) VALUES (?, ?, 0)", name, bytes);
  }

  /** It is in R2; where it has been given up meanwhile, it is thrown away again. */
  stored(name: string): boolean {
    const isWanted = this.#sql.exec("UPDATE packs SET stored = 1 WHERE name = ?", name).rowsWritten > 0;
    if (!isWanted) this.#trash.add("R2", name);
    return isWanted;
  }

  /** Throws away those of these that no blob lies in. */
  collect(names: Iterable<string>): void {
    for (const name of names) {
      if (this.#sql.exec("SELECT 1 FROM blobs WHERE pack = ? LIMIT 1", name).toArray().length > 0) continue;
      this.#sql.exec("DELETE FROM packs WHERE name = ?", name);
      this.#trash.add("R2", name);
    }
  }

  /** Those whose writing was cut off. */
  dropUnfinished(): void {
    this.collect(
      this.#sql
        .exec<{ name: string }>("SELECT name FROM packs WHERE stored = 0")
        .toArray()
        .map(({ name }) => name),
    );
  }

  get bytes(): number {
    return this.#sql.exec<{ bytes: number }>("SELECT coalesce(sum(bytes), 0) AS bytes FROM packs").one().bytes;
  }
}
