/** The charges of a tenant's owners, with their sums by kind, which are asked for more often than there are owners. */
import { chargeKinds, type Charge, type ChargedBytes, type ChargeKind } from "./contract.ts";

interface Row extends Record<string, SqlStorageValue> {
  readonly kind: string;
  readonly bytes: number;
}

export class Charges {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** In place of what the owner was charged before; by how many bytes that is more. Within a transaction. */
  set({ owner, kind, bytes, until }: Charge): number {
    const before = this.#remove([owner]);
    this.#sql.exec("INSERT INTO charges (owner, kind, bytes, until) VALUES (?, ?, ?, ?)", owner, kind, bytes, until);
    this.#add(kind, bytes);
    return bytes - before;
  }

  /** Within a transaction. */
  remove(owners: readonly string[]): void {
    this.#remove(owners);
  }

  /** Lets go of those whose time is over. Within a transaction. */
  expire(now: number): void {
    for (const { kind, bytes } of this.#sql.exec<Row>("DELETE FROM charges WHERE until <= ? RETURNING kind, bytes", now).toArray())
      this.#add(kind, -bytes);
  }

  owners(kind: ChargeKind): string[] {
    return Array.from(this.#sql.exec<{ owner: string }>("SELECT owner FROM charges WHERE kind = ?", kind), ({ owner }) => owner);
  }

  /** When the next charge of a kind ends; null where there is none. */
  nextEnd(kind: ChargeKind): number | null {
    return this.#sql.exec<{ end: number | null }>("SELECT min(until) AS end FROM charges WHERE kind = ?", kind).one().end;
  }

  get bytes(): ChargedBytes {
    const sums = new Map(Array.from(this.#sql.exec<Row>("SELECT kind, bytes FROM charged"), ({ kind, bytes }) => [kind, bytes]));
    return Object.fromEntries(chargeKinds.map((kind) => [kind, sums.get(kind) ?? 0])) as Record<ChargeKind, number>;
  }

  get total(): number {
    return this.#sql.exec<{ total: number }>("SELECT coalesce(sum(bytes), 0) AS total FROM charged").one().total;
  }

  #remove(owners: readonly string[]): number {
    let removed = 0;
    for (const owner of owners)
      for (const { kind, bytes } of this.#sql.exec<Row>("DELETE FROM charges WHERE owner = ? RETURNING kind, bytes", owner).toArray()) {
        this.#add(kind, -bytes);
        removed += bytes;
      }
    return removed;
  }

  #add(kind: string, bytes: number): void {
    this.#sql.exec(
      "INSERT INTO charged (kind, bytes) VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET bytes = bytes + excluded.bytes",
      kind,
      bytes,
    );
  }
}
