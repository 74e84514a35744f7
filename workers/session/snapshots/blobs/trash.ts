/** What other services still have to delete: written down before the rows that told of it go, so that nothing is forgotten. */
import { answerOf } from "../tiers/deadline.ts";

export type Place = "R2" | "KV";

/** Most names of one call to R2. */
const mostNames = 100;

export class Trash {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  add(place: Place, name: string): void {
    this.#sql.exec("INSERT OR IGNORE INTO trash (service, name) VALUES (?, ?)", place, name);
  }

  get isEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM trash LIMIT 1").toArray().length === 0;
  }

  /** What a service does not delete now stays here. @throws ServiceUnreachable */
  async empty(r2: R2Bucket, kv: KVNamespace): Promise<void> {
    for (let names = this.#names("R2"); names.length > 0; names = this.#names("R2")) {
      await answerOf("R2", r2.delete(names));
      this.#forget("R2", names);
    }
    for (let names = this.#names("KV"); names.length > 0; names = this.#names("KV")) {
      for (const name of names) await answerOf("KV", kv.delete(name));
      this.#forget("KV", names);
    }
  }

  #names(place: Place): string[] {
    const rows = this.#sql.exec<{ name: string }>("SELECT name FROM trash WHERE service = ? LIMIT ?", place, mostNames);
    return rows.toArray().map(({ name }) => name);
  }

  #forget(place: Place, names: readonly string[]): void {
    for (const name of names) this.#sql.exec("DELETE FROM trash WHERE service = ? AND name = ?", place, name);
  }
}
