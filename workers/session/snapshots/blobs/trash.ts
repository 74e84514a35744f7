/**
 * What other services still have to delete: written down before the rows that told of it go, so that nothing is forgotten. A name that ends in a
 * stroke stands for all that begin with it and that no row tells of: what a file that was lost had told of.
 */
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
    for (const name of this.#beginnings("R2")) {
      await this.#addAll("R2", "packs", r2Names(r2, name));
      this.#forget("R2", [name]);
    }
    for (const name of this.#beginnings("KV")) {
      await this.#addAll("KV", "copies", kvNames(kv, name));
      this.#forget("KV", [name]);
    }
    for (let names = this.#names("R2"); names.length > 0; names = this.#names("R2")) {
      await answerOf("R2", r2.delete(names));
      this.#forget("R2", names);
    }
    for (let names = this.#names("KV"); names.length > 0; names = this.#names("KV")) {
      for (const name of names) await answerOf("KV", kv.delete(name));
      this.#forget("KV", names);
    }
  }

  async #addAll(place: Place, table: "packs" | "copies", names: AsyncIterable<string>): Promise<void> {
    for await (const name of names)
      if (this.#sql.exec(`SELECT 1 FROM ${table} WHERE name = ?`, name).toArray().length === 0) this.add(place, name);
  }

  #beginnings(place: Place): string[] {
    const rows = this.#sql.exec<{ name: string }>("SELECT name FROM trash WHERE service = ? AND name LIKE '%/'", place);
    return rows.toArray().map(({ name }) => name);
  }

  #names(place: Place): string[] {
    const rows = this.#sql.exec<{ name: string }>("SELECT name FROM trash WHERE service = ? LIMIT ?", place, mostNames);
    return rows.toArray().map(({ name }) => name);
  }

  #forget(place: Place, names: readonly string[]): void {
    for (const name of names) this.#sql.exec("DELETE FROM trash WHERE service = ? AND name = ?", place, name);
  }
}

/** Of all objects that begin so. @throws ServiceUnreachable */
export async function* r2Names(r2: R2Bucket, prefix: string): AsyncGenerator<string, void, undefined> {
  let cursor: string | undefined;
  do {
    const listed: R2Objects = await answerOf("R2", r2.list({ prefix, ...(cursor === undefined ? {} : { cursor }) }));
    for (const { key } of listed.objects) yield key;
    cursor = listed.truncated ? listed.cursor : undefined;
  } while (cursor !== undefined);
}

/** Of all values that begin so. @throws ServiceUnreachable */
export async function* kvNames(kv: KVNamespace, prefix: string): AsyncGenerator<string, void, undefined> {
  let cursor: string | undefined;
  do {
    const listed: KVNamespaceListResult<unknown> = await answerOf("KV", kv.list({ prefix, ...(cursor === undefined ? {} : { cursor }) }));
    for (const { name } of listed.keys) yield name;
    cursor = listed.list_complete ? undefined : listed.cursor;
  } while (cursor !== undefined);
}
