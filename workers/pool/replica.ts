/** What the pool knows of its backends at one moment. Plans are functions of it. */
import type { ModelDescription } from "../contracts/engine.ts";
import type { BackendKind } from "../contracts/pool.ts";

/** The WASM engine, a replica that has registered, or one of the static list. */
export interface Replica {
  /** Unique in the pool. */
  readonly name: string;
  /** The node that registered it, of whose secret its key is made; null for the engine and the static list. */
  readonly node: string | null;
  readonly kind: BackendKind;
  /** Base URL without a slash at its end; empty for the engine, which is reached by its binding. */
  readonly address: string;
  readonly models: readonly ModelDescription[];
  /** Where it runs, as data centres are named to Workers; null where unknown. */
  readonly place: string | null;
  /** Its share of new work beside others of the same model: 1 is a whole one, 0.05 a canary, 0 gets none. In [0, 100]. */
  readonly weight: number;
  /** Ends what it has and takes nothing new. */
  readonly draining: boolean;
  readonly load: ReplicaLoad;
  /** When it was last heard of, Unix milliseconds; of the static list and the engine, when the snapshot was taken. */
  readonly heardAt: number;
}

/** As it was when the replica was last heard of. */
export interface ReplicaLoad {
  /** Requests that are computed. */
  readonly running: number;
  /** Requests that wait for room. */
  readonly waiting: number;
  /** Most requests that it computes at a time; more of them wait. Null, or left out, where it does not say. */
  readonly mostRunning?: number | null;
  /** Most requests at once, waiting ones with them; null where it does not say. */
  readonly mostRequests: number | null;
  /** Share of the memory for states and caches that is free, in [0, 1]; null where it does not say. */
  readonly freeShare: number | null;
  /** Whether weights are in memory. */
  readonly loaded: boolean;
}

/** At most seconds old: the registry writes it, and isolates plan from their copy. */
export interface PoolSnapshot {
  /** Unix milliseconds. */
  readonly takenAt: number;
  readonly replicas: readonly Replica[];
}
