/**
 * Keeps a tenant within its quota, which bounds snapshots and charges together, by evicting cached snapshots, GreedyDual-Size: one is worth
 * what reading its tokens again costs per byte it takes, on top of what the last one that was evicted was worth, so that what isn't used grows
 * old.
 */
import { ServiceError, type ServiceFailure } from "../../../contracts/errors.ts";
import { quotaExceeded } from "../../failures.ts";
import type { Collection } from "../index/collection.ts";
import type { Snapshot } from "../index/snapshot-rows.ts";

const ageFact = "age";
/** No snapshot's key. */
const noKey = 0;

export class Eviction {
  readonly #storage: DurableObjectStorage;
  readonly #collection: Collection;
  readonly #quotaBytes: number;

  constructor(storage: DurableObjectStorage, collection: Collection, quotaBytes: number) {
    this.#storage = storage;
    this.#collection = collection;
    this.#quotaBytes = quotaBytes;
  }

  /** It was written or used. */
  rate({ key, tokens, fileBytes }: Pick<Snapshot, "key" | "tokens" | "fileBytes">): void {
    this.#storage.sql.exec("UPDATE snapshots SET priority = ? WHERE key = ?", this.#age() + tokens / fileBytes, key);
  }

  /**
   * Makes room for what has been written: a snapshot, which stays itself, or a charge, without one. @throws ServiceError `quota_exceeded` where
   * owners keep too much.
   */
  makeRoom(newest?: number): void {
    if (!this.evict(newest)) throw new ServiceError(this.#exceeded(0));
  }

  /** Whether the tenant is within its quota once all that it takes was evicted. */
  evict(newest = noKey): boolean {
    while (this.#used() > this.#quotaBytes) {
      const worst = this.#worst(newest);
      if (worst === undefined) return false;
      this.#setAge(worst.priority);
      this.#collection.remove(worst.key);
    }
    return true;
  }

  hasRoom(bytes: number): boolean {
    return this.#used() + bytes <= this.#quotaBytes;
  }

  /** @throws ServiceError `quota_exceeded` where nothing that is evicted makes room for so much. */
  check(fileBytes: number): void {
    if (fileBytes + this.#collection.charges.total > this.#quotaBytes) throw new ServiceError(this.#exceeded(fileBytes));
  }

  /** One that is being read goes last. */
  #worst(newest: number): { readonly key: number; readonly priority: number } | undefined {
    const entries = this.#storage.sql
      .exec<{ key: number; priority: number }>(
        `SELECT key, priority FROM snapshots WHERE key <> ? AND proof IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM owners WHERE owners.snapshot = snapshots.key) ORDER BY priority, used`,
        newest,
      )
      .toArray();
    return entries.find(({ key }) => !this.#collection.isRead(key)) ?? entries[0];
  }

  #used(): number {
    return this.#states() + this.#collection.charges.total;
  }

  #states(): number {
    const { hot, shared, durable } = this.#collection.bytes;
    return hot + shared + durable;
  }

  /** `more`: bytes of a state that is not written yet. */
  #exceeded(more: number): ServiceFailure {
    const { charges } = this.#collection;
    const end = charges.nextEnd("streams");
    const secondsToEnd = end === null ? undefined : (end - Date.now()) / 1_000;
    return quotaExceeded(this.#quotaBytes, { states: this.#states() + more, ...charges.bytes }, secondsToEnd);
  }

  #age(): number {
    return this.#storage.sql.exec<{ value: number }>("SELECT value FROM facts WHERE name = ?", ageFact).toArray()[0]?.value ?? 0;
  }

  #setAge(age: number): void {
    this.#storage.sql.exec("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", ageFact, age);
  }
}
