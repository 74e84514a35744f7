/** The object of one tenant: its snapshot store, and nobody else's. */
import { DurableObject } from "cloudflare:workers";
import type { Outcome } from "../../contracts/engine.ts";
import { ServiceError } from "../../contracts/errors.ts";
import type { SessionEnvironment } from "../environment.ts";
import { internalError } from "../failures.ts";
import { Collection } from "./index/collection.ts";
import type { Findings, ModelIdentity, OpenedSnapshot, PutOrder, SnapshotStore, StoredSnapshot, TokenChain } from "./contract.ts";
import { Eviction } from "./tiers/eviction.ts";
import { limitsOf, type StoreLimits } from "./limits.ts";
import { NoStore } from "./no-store.ts";
import { Sealer } from "./seal/seal.ts";
import { Sharing } from "./tiers/near-copying.ts";
import { Store } from "./store.ts";
import { TenantKeys } from "./seal/tenant-keys.ts";
import { tenantName } from "./tenant-name.ts";
import { Upkeep } from "./tiers/upkeep.ts";

/** Sealed bytes by where they lie. */
export interface StoreUsage {
  readonly hotBytes: number;
  readonly sharedBytes: number;
  readonly durableBytes: number;
  readonly quotaBytes: number;
}

export class TenantObject extends DurableObject<SessionEnvironment> implements SnapshotStore {
  readonly #limits: StoreLimits;
  readonly #collection: Collection;
  readonly #upkeep: Upkeep;
  readonly #store: Store | NoStore;

  constructor(context: DurableObjectState, environment: SessionEnvironment) {
    super(context, environment);
    const { storage } = context;
    const tenant = tenantName(context);
    this.#limits = limitsOf(environment);
    this.#collection = new Collection(storage, this.#limits.cacheMilliseconds);
    this.#collection.dropUnfinished();
    const parts = { storage, collection: this.#collection, r2: () => this.env.SNAPSHOTS, kv: () => this.env.PREFIXES };
    this.#upkeep = new Upkeep({ ...parts, tenant: tenant ?? "", hotMilliseconds: this.#limits.hotMilliseconds });
    this.#store = this.#makeStore(tenant);
  }

  async find(identity: ModelIdentity, chain: TokenChain): Promise<Findings> {
    return await this.#store.find(identity, chain);
  }

  async open(id: string, keep: number): Promise<Outcome<OpenedSnapshot>> {
    return await this.#thenSchedule(this.#store.open(id, keep));
  }

  async put(order: PutOrder, bytes: ReadableStream<Uint8Array>): Promise<Outcome<StoredSnapshot>> {
    return await this.#thenSchedule(this.#store.put(order, bytes));
  }

  async keep(id: string, owner: string, expires: number): Promise<Outcome<null>> {
    return await this.#thenSchedule(this.#store.keep(id, owner, expires));
  }

  async release(ownerPrefix: string): Promise<void> {
    await this.#thenSchedule(this.#store.release(ownerPrefix));
  }

  async facts(id: string): ReturnType<SnapshotStore["facts"]> {
    return await this.#store.facts(id);
  }

  /** A copy of it was read elsewhere. */
  async opened(id: string): Promise<void> {
    await this.#store.opened(id);
  }

  usage(): Promise<StoreUsage> {
    const { hot, shared, durable } = this.#collection.bytes;
    return Promise.resolve({ hotBytes: hot, sharedBytes: shared, durableBytes: durable, quotaBytes: this.#limits.quotaBytes });
  }

  /** Everything, here and in other services; what they do not delete now is deleted by alarm. */
  async deleteAll(): Promise<void> {
    this.#collection.removeAll();
    await this.#thenSchedule(this.#upkeep.emptyTrash());
  }

  override async alarm(): Promise<void> {
    await this.#upkeep.run(Date.now());
  }

  async #thenSchedule<T>(work: Promise<T>): Promise<T> {
    const result = await work;
    await this.#upkeep.schedule(Date.now());
    return result;
  }

  #makeStore(tenant: string | undefined): Store | NoStore {
    if (tenant === undefined) return new NoStore(internalError("A tenant's object must be called by its name."));
    try {
      const keys = new TenantKeys(this.env.STATE_KEYS, tenant);
      const { storage } = this.ctx;
      const collection = this.#collection;
      const services = { r2: () => this.env.SNAPSHOTS, kv: () => this.env.PREFIXES };
      const eviction = new Eviction(storage, collection, this.#limits.quotaBytes);
      const parts = { ...services, storage, collection, eviction, keys, sealer: new Sealer(keys, tenant) };
      const waitUntil = (work: Promise<void>) => {
        this.ctx.waitUntil(work);
      };
      const onChange = () => {
        waitUntil(this.#upkeep.schedule(Date.now()));
      };
      return new Store({ ...parts, onChange, sharing: new Sharing({ ...parts, tenant, waitUntil }) });
    } catch (cause) {
      if (!(cause instanceof ServiceError)) throw cause;
      return new NoStore(cause.failure);
    }
  }
}
