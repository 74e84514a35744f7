/**
 * The isolate's copy of what the pool has: the registry's replicas, the static list, and the engine. It is renewed beside a request, not in front
 * of it; only where nothing is known yet, or nobody has asked for a while, does a request wait, and then shortly. A registry that is lost or slow
 * costs nothing but news: the last copy stays, and beside it are the engine and the static list.
 */
import type { GenerationBackend } from "../contracts/engine.ts";
import { unwrap } from "../contracts/call.ts";
import { ServiceError, type ServiceFailure } from "../contracts/errors.ts";
import { release } from "../contracts/release.ts";
import { describeCause, logLine } from "../observe/log-line.ts";
import { within } from "../waiting/within.ts";
import { offeredOverHttp } from "./backends/contract.ts";
import type { PoolSnapshot, Replica } from "./replica.ts";

export const engineName = "engine";

/** Whom a copy is made of. */
export interface Sources {
  registry(): Promise<PoolSnapshot>;
  readonly engine: Pick<GenerationBackend, "models" | "load">;
  /** `now`: Unix milliseconds. */
  listed(now: number): readonly Replica[];
}

export interface CopyOptions {
  /** Milliseconds, at which it is renewed beside a request; at twice that in front of one. */
  readonly refresh: number;
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** Whether what is known will do; where it does not, a request waits for the engine, which may have to load first. */
  readonly suffices: (snapshot: PoolSnapshot) => boolean;
}

/** How long a request waits for the registry where nothing is known yet, and where what is known is old. */
const firstMilliseconds = 500;
const oldMilliseconds = 100;
/** A renewal of which nothing is heard for so long keeps nobody from beginning another; after one that fails or is slow, nobody waits for so long. */
const goneMilliseconds = 5_000;
/** The engine's models change with a deployment alone. */
const modelsMilliseconds = 30_000;

type EngineModels = { readonly models: Replica["models"]; readonly at: number };

export class SnapshotCopy {
  #registered: readonly Replica[] = [];
  #listed: readonly Replica[] = [];
  #models: EngineModels | undefined;
  #load: Replica["load"] = { running: 0, waiting: 0, mostRequests: null, freeShare: null, loaded: false };
  #engineFailure: ServiceFailure | undefined;
  #takenAt = 0;
  #made: PoolSnapshot | undefined;
  #renewingSince: number | undefined;
  #slowAt = Number.NEGATIVE_INFINITY;

  /** Unix milliseconds; 0 before the first. */
  get takenAt(): number {
    return this.#takenAt;
  }

  /** Made anew with each renewal alone: every plan looks at it. */
  get snapshot(): PoolSnapshot {
    return (this.#made ??= this.#make());
  }

  #make(): PoolSnapshot {
    const { models = [] } = this.#models ?? {};
    const facts = { name: engineName, node: null, kind: "engine", address: "", place: null, weight: 1, draining: false } as const;
    const engine = models.length === 0 ? [] : [{ ...facts, models, load: this.#load, heardAt: this.#takenAt }];
    return { takenAt: this.#takenAt, replicas: [...this.#registered, ...this.#listed, ...engine] };
  }

  /** Why the engine has told no models; undefined where it has, or has not been asked. */
  get engineFailure(): ServiceFailure | undefined {
    return this.#models === undefined ? this.#engineFailure : undefined;
  }

  async current(sources: Sources, options: CopyOptions): Promise<PoolSnapshot> {
    const now = Date.now();
    const age = now - this.#takenAt;
    // A clock that was set back makes it old.
    const isOld = age >= 2 * options.refresh || age < 0;
    const wasSlow = Math.abs(now - this.#slowAt) < goneMilliseconds;
    if (!isOld || wasSlow) {
      this.renew(sources, options);
      if (!options.suffices(this.snapshot)) await this.#askEngine(sources.engine, now);
    } else {
      const patience = this.#takenAt === 0 ? firstMilliseconds : oldMilliseconds;
      const renewal = this.#renewal(sources, options);
      await within(renewal.registry, patience, () => {
        this.#slowAt = Date.now();
      });
      if (!options.suffices(this.snapshot)) await renewal.engine;
    }
    return this.snapshot;
  }

  /** Renews what is old enough for that, beside whatever goes on. */
  renew(sources: Sources, options: Pick<CopyOptions, "refresh" | "waitUntil">): void {
    const now = Date.now();
    const isRenewed = this.#renewingSince !== undefined && now - this.#renewingSince < goneMilliseconds && now >= this.#renewingSince;
    if (isRenewed || Math.abs(now - this.#takenAt) < options.refresh) return;
    void this.#renewal(sources, options);
  }

  /** Neither promise rejects. */
  #renewal(sources: Sources, { waitUntil }: Pick<CopyOptions, "waitUntil">) {
    const since = Date.now();
    this.#renewingSince = since;
    const registry = this.#askRegistry(sources, since);
    const engine = this.#askEngine(sources.engine, since);
    const both = Promise.all([registry, engine]).then(() => {
      if (this.#renewingSince === since) this.#renewingSince = undefined;
    });
    waitUntil(both);
    return { registry, engine };
  }

  async #askRegistry(sources: Sources, since: number): Promise<void> {
    this.#listed = sources.listed(since).map(overHttp);
    this.#made = undefined;
    try {
      this.#registered = (await sources.registry()).replicas.map(overHttp);
    } catch (cause) {
      this.#slowAt = Date.now();
      logLine("error", "service_unreachable", { service: "registry", cause: describeCause(cause) });
    }
    this.#takenAt = Math.max(1, Date.now());
    this.#made = undefined;
  }

  async #askEngine(engine: Sources["engine"], since: number): Promise<void> {
    try {
      if (this.#models === undefined || Math.abs(since - this.#models.at) >= modelsMilliseconds) {
        const models = structuredClone(await unwrap("engine", engine.models(), noteEngine));
        this.#models = { models, at: since };
        this.#made = undefined;
      }
      const load = await engine.load();
      const { running, waiting, loaded } = load;
      release(load);
      this.#load = { running, waiting, mostRequests: null, freeShare: null, loaded };
      this.#made = undefined;
      this.#engineFailure = undefined;
    } catch (cause) {
      if (cause instanceof ServiceError) this.#engineFailure = cause.failure;
      else noteEngine(cause);
    }
  }
}

function noteEngine(cause: unknown): void {
  logLine("error", "service_unreachable", { service: "engine", cause: describeCause(cause) });
}

/** With no more than a backend over HTTP can do, whatever is said of its models. */
function overHttp(replica: Replica): Replica {
  return { ...replica, models: replica.models.map(offeredOverHttp) };
}
