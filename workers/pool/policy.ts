/**
 * Where a request runs: a pure function of the request, the pool's snapshot, what this isolate has seen itself, and random numbers.
 *
 * Backends that have failed at this answer come last, and the WASM engine after the replicas. Of the replicas, in this order and never an
 * overloaded one: where the conversation's state is; the conversation's home; the less busy of two at random of the less busy half, in the same place where one has
 * room. Whatever comes after the first is for when that one fails.
 */
import type { PlacementWishes } from "../contracts/pool.ts";
import type { ServiceFailure } from "../contracts/errors.ts";
import { drawTwo } from "./choices.ts";
import { lookAt, needsOf, type Eligible, type Exclusion, type RequestToPlace } from "./eligible.ts";
import type { HealthView } from "./health.ts";
import { homesOf } from "./rendezvous.ts";
import type { PoolSnapshot, Replica } from "./replica.ts";
import { shedOf } from "./shed.ts";

export interface PlanRequest {
  readonly request: RequestToPlace;
  readonly wishes: PlacementWishes;
}

export interface Candidate {
  readonly replica: Replica;
  /** Why it is asked, and why at this place; a few words each, at least one. */
  readonly reasons: readonly string[];
}

export interface Plan {
  /** Best first, each once. */
  readonly candidates: readonly Candidate[];
  /** How many more could take the request. */
  readonly others: number;
  readonly excluded: readonly Exclusion[];
  /** Where there is no candidate: what the client is told. */
  readonly shed?: ServiceFailure;
  /** Where there is no candidate: whether one has only no room at this moment, so that waiting helps. */
  readonly waitingHelps: boolean;
}

/** Replicas of one plan. When so many have failed, the next plan knows more. */
const mostReplicas = 4;
/** The state's place, and one in the same place, are preferred up to this: one of eight places is left for what others have sent there. */
const busyHolder = 0.875;
/** Its home only may hold something of it, and is worth less. */
const busyHome = 0.5;
/** Where all are busier, one is overloaded that is so much busier than the mean. */
const overMean = 1.1;
/** Below this share of memory free, what is new evicts what others would come back to. */
const leastFreeShare = 0.05;
/** Isolates that are taken to send as this one does, at most. */
const mostIsolates = 64;

/** @param random Numbers in [0, 1). */
export function plan({ request, wishes }: PlanRequest, { replicas }: PoolSnapshot, health: HealthView, random: () => number): Plan {
  const needs = needsOf(request);
  const excluded: Exclusion[] = [];
  const [fresh, engines, avoided]: [Eligible[], Eligible[], Eligible[]] = [[], [], []];
  for (const replica of replicas) {
    const found = lookAt(replica, needs, health);
    if ("kind" in found) excluded.push(found);
    else if (wishes.avoid.includes(replica.name)) avoided.push(found);
    else (replica.kind === "engine" ? engines : fresh).push(found);
  }
  if (fresh.length + engines.length + avoided.length === 0) {
    const shed = shedOf(needs, excluded, replicas, health);
    return { candidates: [], others: 0, excluded, shed, waitingHelps: excluded.some(({ kind }) => kind === "full") };
  }
  const candidates = orderOfReplicas(fresh, wishes, health, random);
  const engineReason = fresh.length === 0 ? "no replica can take it" : "after the replicas";
  for (const one of engines.toSorted(byBusy)) candidates.push(candidateOf(one, [engineReason]));
  if (candidates.length === fresh.length + engines.length) {
    for (const one of avoided.toSorted(byBusy)) candidates.push(candidateOf(one, ["last resort: this answer has failed there"]));
  }
  return { candidates, others: fresh.length + engines.length + avoided.length - candidates.length, excluded, waitingHelps: false };
}

function orderOfReplicas(all: readonly Eligible[], wishes: PlacementWishes, health: HealthView, random: () => number): Candidate[] {
  const near = wishes.place === null ? [] : all.filter(({ replica }) => replica.place === wishes.place);
  const room = all.filter(({ busy, replica: { load } }) => busy < 1 && load.waiting === 0 && (load.freeShare ?? 1) >= leastFreeShare);
  const crowded = overMean * mean(all.map(({ busy }) => busy));
  const hasRoom = new Set(room.length > 0 ? room : all.filter(({ busy }) => busy <= crowded));
  const chosen = new Map<Eligible, Candidate>();
  const choose = (one: Eligible, reasons: readonly string[]) => {
    if (chosen.size < mostReplicas && !chosen.has(one)) chosen.set(one, candidateOf(one, reasons));
  };

  const isFree = (one: Eligible, limit: number) => hasRoom.has(one) && (room.length === 0 || one.busy <= limit);
  const holderName = wishes.stateAt ?? lastOf(wishes.affinity, health);
  const holder = all.find(({ name }) => name === holderName);
  if (holder !== undefined && isFree(holder, busyHolder)) choose(holder, ["holds the conversation's state"]);
  if (wishes.affinity !== null) {
    const homes = homesOf(wishes.affinity, near.length > 0 ? near : all, homeCount(all, wishes.affinity, health));
    const reason = homes.length > 1 ? `one of ${homes.length} homes of what many requests begin with` : "home of the conversation";
    const free = homes.filter((one) => isFree(one, busyHome));
    for (const one of drawTwo(free, random)) choose(one, [reason]);
  }
  const fields: readonly (readonly [Eligible[], readonly string[]])[] = [
    [near.filter((one) => isFree(one, busyHolder)), ["in the same place"]],
    [[...hasRoom], []],
    [[...all], ["all that have room come before it"]],
  ];
  for (const [field, where] of fields) {
    for (const one of chosen.keys()) remove(field, one);
    while (chosen.size < mostReplicas) {
      const [first, second] = drawTwo(field, random);
      if (first === undefined) break;
      choose(first, [...where, choiceReason(second, "not busier than")]);
      remove(field, first);
      if (second === undefined) continue;
      choose(second, [...where, choiceReason(first, "after")]);
      remove(field, second);
    }
  }
  return [...chosen.values()];
}

/** Of a conversation, whose requests come one after another; many at a time are of a common beginning, which has homes. */
function lastOf(affinity: string | null, health: HealthView): string | undefined {
  return affinity === null || health.inFlightOf(affinity) > 0 ? undefined : health.lastOf(affinity);
}

/**
 * A conversation has one home. A beginning that many requests have gets another one for every half of a replica that its requests take, in all
 * isolates: those that are on their way from this one, times how much more is on its way in the pool.
 */
function homeCount(all: readonly Eligible[], affinity: string, health: HealthView): number {
  const own = health.inFlightOf(affinity);
  if (own === 0) return 1;
  const requests = all.reduce((sum, { busy, atOnce }) => sum + busy * atOnce, 0);
  const isolates = Math.min(mostIsolates, Math.max(1, requests / Math.max(1, health.inFlight)));
  return 1 + Math.floor((2 * own * isolates) / mean(all.map(({ atOnce }) => atOnce)));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function remove<T>(from: T[], one: T): void {
  const position = from.indexOf(one);
  if (position >= 0) from.splice(position, 1);
}

function choiceReason(other: Eligible | undefined, relation: string): string {
  return other === undefined ? "the only one left to choose" : `of two at random ${relation} the other, '${other.name}'`;
}

function candidateOf({ replica, busy, isTrial }: Eligible, reasons: readonly string[]): Candidate {
  const trial = isTrial ? ["first request after it failed"] : [];
  return { replica, reasons: [...reasons, `busy ${busy.toFixed(2)}`, ...trial] };
}

function byBusy(left: Eligible, right: Eligible): number {
  return Number(left.replica.kind === "engine") - Number(right.replica.kind === "engine") || left.busy - right.busy;
}
