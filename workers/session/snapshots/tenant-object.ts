/** The object of one tenant: its snapshot store, and nobody else's. */
import { DurableObject } from "cloudflare:workers";
import type { Outcome } from "../../contracts/engine.ts";
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import { describeCause, logLine } from "../../logging/log-line.ts";
import type { SessionEnvironment } from "../environment.ts";
import { Collection } from "./collection.ts";
import type { Findings, ModelIdentity, OpenedSnapshot, PutOrder, SnapshotStore, StoredSnapshot, TokenChain } from "./contract.ts";
import { Eviction } from "./eviction.ts";
import { Sealer } from "./seal.ts";
import { limitsOf } from "./limits.ts";
import { isWorthSharing, share, type SharingParts } from "./sharing.ts";
import type { Snapshot } from "./snapshot-rows.ts";
import { Store } from "./store.ts";
import { TenantKeys } from "./tenant-keys.ts";
import { Upkeep } from "./upkeep.ts";

export interface StoreUsage {
  readonly hotBytes: number;
  readonly sharedBytes: number;
  readonly durableBytes: number;
  readonly quotaBytes: number;
}

export class TenantObject extends DurableObject<SessionEnvironment> implements SnapshotStore {
  readonly #collection: Collection;
  readonly #eviction: Eviction;
  readonly #upkeep: Upkeep;
  readonly #quotaBytes: number;
  readonly #tenant: string;
  /** Or why there is none. */
  readonly #store: Store | ServiceFailure;

  constructor(context: DurableObjectState, environment: SessionEnvironment) {
    super(context, environment);
    const { storage } = context;
    const { quotaBytes, hotMilliseconds, cacheMilliseconds } = limitsOf(environment);
    this.#quotaBytes = quotaBytes;
    this.#tenant = context.id.name ?? context.id.toString();
    this.#collection = new Collection(storage, cacheMilliseconds);
    this.#collection.dropUnfinished();
    this.#eviction = new Eviction(storage, this.#collection, quotaBytes);
    const services = { r2: () => this.env.SNAPSHOTS, kv: () => this.env.PREFIXES };
    this.#upkeep = new Upkeep({ storage, collection: this.#collection, ...services, tenant: this.#tenant, hotMilliseconds });
    this.#store = this.#makeStore();
  }

  async find(identity: ModelIdentity, chain: TokenChain): Promise<Findings> {
    if (!(this.#store instanceof Store)) return { candidates: [], worthSaving: null };
    return await this.#store.find(identity, chain);
  }

  async open(id: string, keep: number): Promise<Outcome<OpenedSnapshot>> {
    return await this.#with((store) => store.open(id, keep));
  }

  async put(order: PutOrder, bytes: ReadableStream<Uint8Array>): Promise<Outcome<StoredSnapshot>> {
    if (!(this.#store instanceof Store)) await bytes.cancel(this.#store.message).catch(() => undefined);
    return await this.#with((store) => store.put(order, bytes));
  }

  async keep(id: string, owner: string, expires: number): Promise<Outcome<null>> {
    return await this.#with((store) => store.keep(id, owner, expires));
  }

  async release(ownerPrefix: string): Promise<void> {
    if (this.#store instanceof Store) await this.#store.release(ownerPrefix);
    await this.#upkeep.schedule(Date.now());
  }

  async facts(id: string): ReturnType<SnapshotStore["facts"]> {
    return this.#store instanceof Store ? await this.#store.facts(id) : null;
  }

  /** A copy of it was read elsewhere. */
  opened(id: string): Promise<void> {
    const snapshot = this.#collection.rows.finished(id);
    if (snapshot !== undefined && this.#store instanceof Store) this.#store.touch(snapshot, Date.now());
    return Promise.resolve();
  }

  /** Sealed bytes by where they lie. */
  usage(): Promise<StoreUsage> {
    const { hot, shared, durable } = this.#collection.bytes;
    return Promise.resolve({ hotBytes: hot, sharedBytes: shared, durableBytes: durable, quotaBytes: this.#quotaBytes });
  }

  /** Everything, here and in other services; what they do not delete now is deleted by alarm. */
  async deleteAll(): Promise<void> {
    this.#collection.removeAll();
    await this.#upkeep.emptyTrash();
    await this.#upkeep.schedule(Date.now());
  }

  override async alarm(): Promise<void> {
    await this.#upkeep.run(Date.now());
  }

  async #with<T>(call: (store: Store) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    if (!(this.#store instanceof Store)) return { ok: false, failure: this.#store };
    const outcome = await call(this.#store);
    await this.#upkeep.schedule(Date.now());
    return outcome;
  }

  #makeStore(): Store | ServiceFailure {
    try {
      const keys = new TenantKeys(this.env.STATE_KEYS, this.#tenant);
      const sealer = new Sealer(keys, this.#tenant);
      const parts = { storage: this.ctx.storage, collection: this.#collection, eviction: this.#eviction, keys, sealer };
      const onOpened = (snapshot: Snapshot) => {
        this.#considerSharing(sealer, snapshot);
      };
      return new Store({ ...parts, r2: () => this.env.SNAPSHOTS, onOpened });
    } catch (cause) {
      if (!(cause instanceof ServiceError)) throw cause;
      return cause.failure;
    }
  }

  #considerSharing(sealer: Sealer, snapshot: Snapshot): void {
    const parts: SharingParts = {
      ...{ collection: this.#collection, eviction: this.#eviction, sealer, tenant: this.#tenant },
      ...{ r2: this.env.SNAPSHOTS, kv: this.env.PREFIXES },
    };
    const now = Date.now();
    if (!isWorthSharing(parts, snapshot, now)) return;
    const work = share(parts, snapshot, now).catch((cause: unknown) => {
      logLine("error", "snapshot_not_shared", { cause: describeCause(cause) });
    });
    this.ctx.waitUntil(work);
  }
}
