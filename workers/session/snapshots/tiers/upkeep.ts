/** What a tenant's object does by alarm: ends what has expired, moves what is idle to R2, deletes what other services still hold. */
import type { LogEvent } from "../../../observe/events.ts";
import { describeCause, logLine } from "../../../observe/log-line.ts";
import type { Collection } from "../index/collection.ts";
import { idleSnapshots, moveToDurable } from "./durable.ts";

const leastMilliseconds = 1_000;
/** Also the latest: an alarm that a wrong clock set is not late by more. */
const mostMilliseconds = 3_600_000;
/** Until what did not work, or could not move yet, is tried again. */
const againMilliseconds = 60_000;
/** Of one alarm: 13 MB each. */
const mostMoves = 8;

export interface UpkeepDependencies {
  readonly storage: DurableObjectStorage;
  readonly collection: Collection;
  readonly r2: () => R2Bucket;
  readonly kv: () => KVNamespace;
  readonly tenant: string;
  /** How long what is kept stays in the object after its last use. */
  readonly hotMilliseconds: number;
}

export class Upkeep {
  readonly #dependencies: UpkeepDependencies;

  constructor(dependencies: UpkeepDependencies) {
    this.#dependencies = dependencies;
  }

  async run(now: number): Promise<void> {
    const { collection, storage } = this.#dependencies;
    // Used in the future: by a clock that has been set right since.
    storage.sql.exec("UPDATE snapshots SET used = ? WHERE used > ?", now, now);
    collection.expire(now);
    await this.#attempt("snapshots_not_moved", () => this.#moveIdle(now));
    await this.emptyTrash();
    await this.schedule(now, againMilliseconds);
  }

  async emptyTrash(): Promise<void> {
    await this.#attempt("snapshots_not_deleted", () =>
      this.#dependencies.collection.trash.empty(this.#dependencies.r2(), this.#dependencies.kv()),
    );
  }

  /** The next alarm, not before `least` from now. Called after everything that may bring its time forward. */
  async schedule(now: number, least = leastMilliseconds): Promise<void> {
    const { storage } = this.#dependencies;
    const due = this.#due(now);
    if (due === null) return;
    const at = Math.min(Math.max(due, now + least), now + mostMilliseconds);
    const set = await storage.getAlarm();
    if (set === null || set > at) await storage.setAlarm(at);
  }

  async #moveIdle(now: number): Promise<void> {
    const { r2, hotMilliseconds } = this.#dependencies;
    const cutoff = now - hotMilliseconds;
    for (const snapshot of idleSnapshots(this.#dependencies, cutoff, mostMoves))
      await moveToDurable({ ...this.#dependencies, r2: r2() }, snapshot, cutoff);
  }

  /** When there is something to do next; null where there is nothing. */
  #due(now: number): number | null {
    const { collection, hotMilliseconds } = this.#dependencies;
    const oldest = collection.oldestKept();
    const times = [collection.owners.nextEnd(), oldest === null ? null : oldest + hotMilliseconds, collection.trash.isEmpty ? null : now];
    const known = times.filter((time) => time !== null);
    return known.length === 0 ? null : Math.min(...known);
  }

  async #attempt(event: LogEvent, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      logLine("error", event, { cause: describeCause(cause) });
    }
  }
}
