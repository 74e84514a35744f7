/** The object of one tenant: its snapshot store and its account of bytes, and nobody else's. */
import { DurableObject } from "cloudflare:workers";
import type { Outcome } from "../../contracts/engine.ts";
import { ServiceError } from "../../contracts/errors.ts";
import type { SessionEnvironment } from "../environment.ts";
import { asOutcome, internalError } from "../failures.ts";
import { storeSettings, type StoreSettings } from "../settings.ts";
import type { Account, Charge, ChargedBytes, ChargeKind } from "./account/contract.ts";
import { Collection } from "./index/collection.ts";
import type { Findings, ModelIdentity, OpenedSnapshot, PutOrder, SnapshotStore, StoredSnapshot, TokenChain } from "./contract.ts";
import { Eviction } from "./tiers/eviction.ts";
import { NoStore } from "./no-store.ts";
import { Sealer } from "./seal/seal.ts";
import { NearCopying } from "./tiers/near-copying.ts";
import { noSnapshot, Store } from "./store.ts";
import { TenantKeys } from "./seal/tenant-keys.ts";
import { tenantName } from "./tenant-name.ts";
import { Upkeep } from "./tiers/upkeep.ts";
import { hasTable } from "../storage/tables.ts";

/** Sealed bytes of states by where they lie, and what is kept beside them. */
export interface StoreUsage {
  readonly hotBytes: number;
  readonly sharedBytes: number;
  readonly durableBytes: number;
  readonly charged: ChargedBytes;
  readonly quotaBytes: number;
}

/** What there is once the object has tables. */
interface Opened {
  readonly collection: Collection;
  readonly upkeep: Upkeep;
  readonly eviction: Eviction;
  readonly store: Store | NoStore;
}

export class TenantObject extends DurableObject<SessionEnvironment> implements SnapshotStore, Account {
  readonly #limits: StoreSettings;
  #opened: Opened | undefined;

  constructor(context: DurableObjectState, environment: SessionEnvironment) {
    super(context, environment);
    this.#limits = storeSettings(environment);
    // Whoever only asks an object that keeps nothing leaves nothing in it.
    if (hasTable(context.storage.sql, "snapshots")) this.#opened = this.#open();
  }

  async find(identity: ModelIdentity, chain: TokenChain): Promise<Findings> {
    return await this.#made().store.find(identity, chain);
  }

  async open(id: string, keep: number, fromPage?: number): Promise<Outcome<OpenedSnapshot>> {
    return await this.#thenSchedule(this.#opened, ({ store }) => store.open(id, keep, fromPage), { ok: false, failure: noSnapshot() });
  }

  async put(order: PutOrder, bytes: ReadableStream<Uint8Array>): Promise<Outcome<StoredSnapshot>> {
    const opened = this.#made();
    const outcome = await opened.store.put(order, bytes);
    await opened.upkeep.schedule(Date.now());
    return outcome;
  }

  async keep(id: string, owner: string, expires: number): Promise<Outcome<null>> {
    return await this.#thenSchedule(this.#opened, ({ store }) => store.keep(id, owner, expires), { ok: false, failure: noSnapshot() });
  }

  async release(ownerPrefix: string): Promise<void> {
    await this.#thenSchedule(this.#opened, ({ store }) => store.release(ownerPrefix), undefined);
  }

  async facts(id: string): ReturnType<SnapshotStore["facts"]> {
    return (await this.#opened?.store.facts(id)) ?? null;
  }

  /** A copy of it was read elsewhere. */
  async opened(id: string): Promise<void> {
    await this.#opened?.store.opened(id);
  }

  async admit(charge: Charge): Promise<Outcome<null>> {
    const { collection, eviction, upkeep } = this.#made();
    const outcome = await asOutcome<null>(() => {
      // A refusal takes back what was evicted for it.
      this.ctx.storage.transactionSync(() => {
        collection.charges.expire(Date.now());
        if (collection.charges.set(charge) > 0) eviction.makeRoom();
      });
      return Promise.resolve({ ok: true, value: null });
    });
    // A charge ends without an alarm; what was evicted for it may lie in other services.
    if (!collection.trash.isEmpty) await upkeep.schedule(Date.now());
    return outcome;
  }

  async charge(charge: Charge): Promise<void> {
    const { collection, eviction, upkeep } = this.#made();
    this.ctx.storage.transactionSync(() => {
      collection.charges.expire(Date.now());
      collection.charges.set(charge);
      eviction.evict();
    });
    if (!collection.trash.isEmpty) await upkeep.schedule(Date.now());
  }

  discharge(owners: readonly string[]): Promise<void> {
    const opened = this.#opened;
    this.ctx.storage.transactionSync(() => opened?.collection.charges.remove(owners));
    return Promise.resolve();
  }

  charged(kind: ChargeKind): Promise<readonly string[]> {
    return Promise.resolve(this.#opened?.collection.charges.owners(kind) ?? []);
  }

  usage(): Promise<StoreUsage> {
    const { collection } = this.#opened ?? {};
    collection?.expire(Date.now());
    const { hot, shared, durable } = collection?.bytes ?? { hot: 0, shared: 0, durable: 0 };
    const charged = collection?.charges.bytes ?? { sessions: 0, contexts: 0, shares: 0, streams: 0 };
    const bytes = { hotBytes: hot, sharedBytes: shared, durableBytes: durable, charged };
    return Promise.resolve({ ...bytes, quotaBytes: this.#limits.quotaBytes });
  }

  /** Everything, here and in other services; what they do not delete now is deleted by alarm. */
  async deleteAll(): Promise<void> {
    this.#opened?.collection.removeAll();
    await this.#thenSchedule(this.#opened, ({ upkeep }) => upkeep.emptyTrash(), undefined);
  }

  override async alarm(): Promise<void> {
    await this.#opened?.upkeep.run(Date.now());
  }

  async #thenSchedule<T>(opened: Opened | undefined, work: (opened: Opened) => Promise<T>, nothing: T): Promise<T> {
    if (opened === undefined) return nothing;
    const result = await work(opened);
    await opened.upkeep.schedule(Date.now());
    return result;
  }

  #made(): Opened {
    return (this.#opened ??= this.#open());
  }

  #open(): Opened {
    const { storage } = this.ctx;
    const tenant = tenantName(this.ctx);
    const collection = new Collection(storage, this.#limits.cacheMilliseconds);
    collection.dropUnfinished();
    const services = { r2: () => this.env.SNAPSHOTS, kv: () => this.env.PREFIXES };
    const upkeep = new Upkeep({
      ...{ ...services, storage, collection },
      ...{ tenant: tenant ?? "", hotMilliseconds: this.#limits.hotMilliseconds },
    });
    const eviction = new Eviction(storage, collection, this.#limits.quotaBytes);
    return { collection, upkeep, eviction, store: this.#makeStore(tenant, { collection, upkeep, eviction }) };
  }

  #makeStore(tenant: string | undefined, { collection, upkeep, eviction }: Omit<Opened, "store">): Store | NoStore {
    if (tenant === undefined) return new NoStore(internalError("A tenant's object must be called by its name."));
    try {
      const keys = new TenantKeys(this.env.STATE_KEYS, tenant);
      const { storage } = this.ctx;
      const services = { r2: () => this.env.SNAPSHOTS, kv: () => this.env.PREFIXES };
      const dependencies = { ...services, storage, collection, eviction, keys, sealer: new Sealer(keys, tenant) };
      const waitUntil = (work: Promise<void>) => {
        this.ctx.waitUntil(work);
      };
      const onChange = () => {
        waitUntil(upkeep.schedule(Date.now()));
      };
      return new Store({ ...dependencies, onChange, nearCopying: new NearCopying({ ...dependencies, tenant, waitUntil }) });
    } catch (cause) {
      if (!(cause instanceof ServiceError)) throw cause;
      return new NoStore(cause.failure);
    }
  }
}
