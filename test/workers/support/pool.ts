/** Replicas, snapshots and requests for tests of the pool, each with what is said and otherwise as plain as can be. */
import { abilities } from "../../../workers/contracts/abilities.ts";
import { greedyParameters, type ModelDescription } from "../../../workers/contracts/engine.ts";
import type { PlacementWishes } from "../../../workers/contracts/pool.ts";
import type { RequestToPlace } from "../../../workers/pool/eligible.ts";
import type { PlanRequest } from "../../../workers/pool/policy.ts";
import type { PoolSnapshot, Replica, ReplicaLoad } from "../../../workers/pool/replica.ts";
import { smallestDescription } from "./smallest-description.ts";

export const version = { id: "seven", digest: "d1", tokenizerDigest: "t1" };
export const description: ModelDescription = { ...smallestDescription, ...version, contextLength: 1000, abilities };

export type ReplicaPart = Partial<Omit<Replica, "load">> & { readonly load?: Partial<ReplicaLoad> };

export function replica(name: string, { load, ...part }: ReplicaPart = {}): Replica {
  return {
    name,
    node: null,
    kind: "vllm",
    address: `https://${name}.example`,
    models: [description],
    place: null,
    weight: 1,
    draining: false,
    heardAt: 1_000,
    ...part,
    load: { running: 0, waiting: 0, mostRequests: 10, freeShare: null, loaded: true, ...load },
  };
}

export const engine = (part: ReplicaPart = {}): Replica => replica("engine", { kind: "engine", address: "", ...part });

export const snapshotOf = (...replicas: readonly Replica[]): PoolSnapshot => ({ takenAt: 1_000, replicas });

export const wishNothing: PlacementWishes = { affinity: null, avoid: [], place: null, hedge: false };

export function planRequest(wishes: Partial<PlacementWishes> = {}, request: Partial<RequestToPlace> = {}): PlanRequest {
  return {
    wishes: { ...wishNothing, ...wishes },
    request: { ...greedyParameters, model: version, prompt: new Uint32Array(10), maxTokens: 10, ...request },
  };
}
