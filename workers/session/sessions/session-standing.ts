/** What a session is to others of its tenant: a line of the list, bytes of the account, the owner of states and of shares. */
import type { ServiceFailure } from "../../contracts/errors.ts";
import type { SessionEnvironment } from "../environment.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import { releaseOwned } from "../snapshots/release-owned.ts";
import { guarded, unlessBroken, type Objects } from "../storage/broken.ts";
import { ownersOf } from "./contract.ts";
import { directoryOf, type DirectorySurface } from "./find-session.ts";
import type { StateOwner } from "./kept-states.ts";
import type { RecordRow, SessionRecord } from "./record.ts";
import { endOf, SessionAccount } from "./session-account.ts";
import { expiryOf } from "./session-facts.ts";
import type { TurnRows } from "./turn-rows.ts";

export interface StandingDependencies {
  readonly environment: SessionEnvironment;
  readonly storage: DurableObjectStorage;
  readonly record: RecordRow;
  readonly turns: TurnRows;
  /** Whether a document is read: the alarm is there to go on with it then. */
  readonly isReading: () => boolean;
}

export class SessionStanding {
  readonly #dependencies: StandingDependencies;
  readonly account: SessionAccount;
  /** From when it is being deleted: nothing of it is told any more. */
  isLeaving = false;

  constructor(dependencies: StandingDependencies) {
    this.#dependencies = dependencies;
    this.account = new SessionAccount(dependencies.environment, () => dependencies.storage.sql.databaseSize);
  }

  /** Before it is made, so that it is found whatever becomes of who makes it; why it may not be made, with so many bytes in it. */
  async announce(record: SessionRecord, bytes: number): Promise<ServiceFailure | undefined> {
    const [refusal] = await Promise.all([this.account.admitNew(record, bytes), this.#noteUnlisted(record)]);
    if (refusal !== undefined) await this.#directory(record, (directory) => directory.remove(record.id));
    return refusal;
  }

  /** Tells the directory and the tenant's account, and when it is time to look again whether anybody still wants it. */
  async touched(): Promise<void> {
    const record = this.#dependencies.record.get();
    if (record !== undefined && !this.isLeaving) await Promise.all([this.list(), this.account.count(record)]);
  }

  /** The directory alone. */
  async list(): Promise<void> {
    const record = this.#dependencies.record.get();
    if (record === undefined || this.isLeaving) return;
    const { id, kind, updated, isPassing } = record;
    if (!this.#dependencies.isReading()) await this.#dependencies.storage.setAlarm(expiryOf(record) * 1000);
    if (kind === "share" || isPassing === true) await this.#noteUnlisted(record);
    else await this.#directory(record, (directory) => directory.put({ id, kind, updated }));
  }

  async #noteUnlisted(record: SessionRecord): Promise<void> {
    await this.#directory(record, (directory) => directory.announce(record.id, endOf(record)));
  }

  async #directory({ tenant }: SessionRecord, call: (directory: DirectorySurface) => Promise<void>): Promise<void> {
    await unlessBroken(() => call(directoryOf(this.#dependencies.environment, tenant)));
  }

  store(tenant: string): SnapshotStore {
    return this.#dependencies.environment.TENANT_OBJECT.getByName(tenant);
  }

  /** Links to it end with it. */
  async endShares({ id, tenant, kind }: SessionRecord): Promise<void> {
    if (kind !== "session") return;
    const directory = directoryOf(this.#dependencies.environment, tenant);
    for (const share of await directory.sharesOf(id)) {
      const ended = await this.#dependencies.environment.SHARE_OBJECT.getByName(share).end(tenant);
      // One that was listed and never opened.
      if (!ended) await directory.removeShare(share);
    }
  }

  async release(owner: string): Promise<void> {
    const record = this.#dependencies.record.get();
    if (record !== undefined) await this.states(record).store.release(owner);
  }

  /** All that the store keeps for it. @throws ServiceError `storage_corrupt` where the store's file is damaged. */
  async releaseAll({ id, tenant }: SessionRecord): Promise<void> {
    const objects: Objects<SnapshotStore> = this.#dependencies.environment.TENANT_OBJECT;
    await guarded(objects, tenant, "store", (stub) => stub.facts("")).release(ownersOf(id));
  }

  states({ id, tenant }: SessionRecord): StateOwner {
    const store = this.store(tenant);
    const release = (owner: string) => releaseOwned(store, id, owner);
    return { session: id, turns: this.#dependencies.turns, store: { keep: (...values) => store.keep(...values), release } };
  }
}
