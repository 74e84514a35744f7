/** The object of one tenant: its snapshot store and its account of bytes, and nobody else's. */
import { DurableObject } from "cloudflare:workers";
import type { Outcome } from "../../contracts/outcome.ts";
import { ServiceError } from "../../contracts/errors.ts";
import type { SessionEnvironment } from "../environment.ts";
import { asOutcome, internalError } from "../failures.ts";
import { storeSettings, type StoreSettings } from "../settings.ts";
import type { Account, Charge, ChargedBytes, ChargeKind } from "./account/contract.ts";
import { kvNames, r2Names } from "./blobs/trash.ts";
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
import { describeCause, logLine } from "../../observe/log-line.ts";
import { isBrokenFile } from "../storage/broken.ts";
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
    try {
      if (hasTable(context.storage.sql, "snapshots")) this.#opened = this.#open();
    } catch (cause) {
      this.#beginAnew(cause);
    }
  }

  async find(identity: ModelIdentity, chain: TokenChain): Promise<Findings> {
    return await this.#sound(() => this.#made().store.find(identity, chain));
  }

  async open(id: string, keep: number, fromPage?: number): Promise<Outcome<OpenedSnapshot>> {
    return await this.#sound(() =>
      this.#thenSchedule(this.#opened, ({ store }) => store.open(id, keep, fromPage), { ok: false, failure: noSnapshot() }),
    );
  }

  async put(order: PutOrder, bytes: ReadableStream<Uint8Array>): Promise<Outcome<StoredSnapshot>> {
    try {
      const opened = this.#made();
      const outcome = await opened.store.put(order, bytes);
      await opened.upkeep.schedule(Date.now());
      return outcome;
    } catch (cause) {
      // The bytes came once.
      this.#beginAnew(cause);
      return { ok: false, failure: internalError("The store of states was begun anew.") };
    }
  }

  async keep(id: string, owner: string, expires: number): Promise<Outcome<null>> {
    return await this.#sound(() =>
      this.#thenSchedule(this.#opened, ({ store }) => store.keep(id, owner, expires), { ok: false, failure: noSnapshot() }),
    );
  }

  async release(ownerPrefix: string): Promise<void> {
    await this.#sound(() => this.#thenSchedule(this.#opened, ({ store }) => store.release(ownerPrefix), undefined));
  }

  async facts(id: string): ReturnType<SnapshotStore["facts"]> {
    return await this.#sound(async () => (await this.#opened?.store.facts(id)) ?? null);
  }

  /** A copy of it was read elsewhere. */
  async opened(id: string): Promise<void> {
    await this.#opened?.store.opened(id);
  }

  async admit(charge: Charge): Promise<Outcome<null>> {
    return await this.#sound(() => this.#admit(charge));
  }

  async #admit(charge: Charge): Promise<Outcome<null>> {
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
    await this.#sound(() => this.#charge(charge));
  }

  async #charge(charge: Charge): Promise<void> {
    const { collection, eviction, upkeep } = this.#made();
    this.ctx.storage.transactionSync(() => {
      collection.charges.expire(Date.now());
      collection.charges.set(charge);
      eviction.evict();
    });
    if (!collection.trash.isEmpty) await upkeep.schedule(Date.now());
  }

  async discharge(owners: readonly string[]): Promise<void> {
    await this.#sound(() => {
      const opened = this.#opened;
      this.ctx.storage.transactionSync(() => opened?.collection.charges.remove(owners));
      return Promise.resolve();
    });
  }

  async charged(kind: ChargeKind): Promise<readonly string[]> {
    return await this.#sound(() => Promise.resolve(this.#opened?.collection.charges.owners(kind) ?? []));
  }

  async usage(): Promise<StoreUsage> {
    return await this.#sound(() => Promise.resolve(this.#usage()));
  }

  #usage(): StoreUsage {
    const { collection } = this.#opened ?? {};
    collection?.expire(Date.now());
    const { hot, shared, durable } = collection?.bytes ?? { hot: 0, shared: 0, durable: 0 };
    const charged = collection?.charges.bytes ?? { sessions: 0, contexts: 0, shares: 0, streams: 0 };
    const bytes = { hotBytes: hot, sharedBytes: shared, durableBytes: durable, charged };
    return { ...bytes, quotaBytes: this.#limits.quotaBytes };
  }

  /** Everything, here and in other services; what they do not delete now is deleted by alarm. */
  async deleteAll(): Promise<void> {
    await this.#sound(async () => {
      this.#opened?.collection.removeAll();
      if (this.#opened !== undefined || (await this.#hasElsewhere())) this.#throwAwayAll(this.#made());
      await this.#thenSchedule(this.#opened, ({ upkeep }) => upkeep.emptyTrash(), undefined);
    });
  }

  /** Also what only a file told of that was begun anew since. */
  #throwAwayAll({ collection }: Opened): void {
    const prefix = `${tenantName(this.ctx) ?? ""}/`;
    if (prefix === "/") return;
    for (const place of ["R2", "KV"] as const) collection.trash.add(place, prefix);
  }

  /** Whether other services hold something of a tenant whose object knows of nothing, or cannot be asked. */
  async #hasElsewhere(): Promise<boolean> {
    const { name } = this.ctx.id;
    if (name === undefined) return false;
    try {
      const found = [r2Names(this.env.SNAPSHOTS, `${name}/`), kvNames(this.env.PREFIXES, `${name}/`)].map((names) => names.next());
      return (await Promise.all(found)).some(({ done }) => done !== true);
    } catch (cause) {
      logLine("error", "snapshots_not_deleted", { cause: describeCause(cause) });
      return true;
    }
  }

  override async alarm(): Promise<void> {
    await this.#sound(async () => this.#opened?.upkeep.run(Date.now()));
  }

  /** All that is here can be computed or counted again: where the file is broken it is begun anew, and what was asked is done then. */
  async #sound<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      this.#beginAnew(cause);
      return await work();
    }
  }

  /** @throws the cause, where that is not a broken file. */
  #beginAnew(cause: unknown): void {
    if (!isBrokenFile(cause)) throw cause;
    logLine("error", "storage_corrupt", { object: "store", cause: describeCause(cause) });
    this.#opened = undefined;
    this.ctx.waitUntil(this.ctx.storage.deleteAll());
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
