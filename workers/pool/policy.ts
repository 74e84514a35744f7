/**
 * Where a request runs: a pure function of the request, the pool's snapshot, what this isolate has seen itself, and random numbers.
 *
 * Backends that have failed at this answer come last, and the WASM engine after the replicas. Of the replicas, in this order and never an
 * overloaded one: where the conversation's state is; the conversation's home; the less busy of two at random, in the same place where one has
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
const mostReplicas = 6;
/** A replica is overloaded when it is that much busier than the mean of those that can take the request, and busier than this at all. */
const overMean = 1.25;
const busyAtAll = 0.5;
/** Below this share of memory free, what is new evicts what others would come back to. */
const leastFreeShare = 0.05;
/** So many requests of one affinity at a time are one conversation, or few; more are a common beginning, which gets another home for each so many. */
const requestsPerHome = 4;

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
  const limit = Math.max(busyAtAll, (overMean * all.reduce((sum, { busy }) => sum + busy, 0)) / all.length);
  const hasRoom = ({ busy, replica: { load } }: Eligible) => busy <= limit && load.waiting === 0 && (load.freeShare ?? 1) >= leastFreeShare;
  const near = wishes.place === null ? [] : all.filter(({ replica }) => replica.place === wishes.place);
  const chosen = new Map<Eligible, Candidate>();
  const choose = (one: Eligible, reasons: readonly string[]) => {
    if (chosen.size < mostReplicas && !chosen.has(one)) chosen.set(one, candidateOf(one, reasons));
  };

  const holder = all.find(({ name }) => name === wishes.stateAt);
  if (holder !== undefined && hasRoom(holder)) choose(holder, ["holds the conversation's state"]);
  if (wishes.affinity !== null) {
    const among = near.length > 0 ? near : all;
    const homes = homesOf(wishes.affinity, among, 1 + Math.floor(health.inFlightOf(wishes.affinity) / requestsPerHome)).filter(hasRoom);
    const reason = homes.length > 1 ? `one of ${homes.length} homes of what many requests begin with` : "home of the conversation";
    for (const one of drawTwo(homes, random)) choose(one, [reason]);
  }
  for (const [field, where] of [
    [near.filter(hasRoom), ["in the same place"]],
    [all.filter(hasRoom), []],
    [all, ["all that have room come before it"]],
  ] as const) {
    while (chosen.size < mostReplicas) {
      const two = drawTwo(
        field.filter((one) => !chosen.has(one)),
        random,
      );
      if (two.length === 0) break;
      const [first, second] = two;
      two.forEach((one, position) => choose(one, [...where, choiceReason(one, position === 0 ? second : first, position)]));
    }
  }
  return [...chosen.values()];
}

function choiceReason(one: Eligible, other: Eligible | undefined, position: number): string {
  if (other === undefined) return "the only one left to choose";
  return position === 0
    ? `of two at random not busier than the other, '${other.name}'`
    : `of two at random after the other, '${other.name}'`;
}

function candidateOf({ replica, busy, isTrial }: Eligible, reasons: readonly string[]): Candidate {
  const trial = isTrial ? ["first request after it failed"] : [];
  return { replica, reasons: [...reasons, `busy ${busy.toFixed(2)}`, ...trial] };
}

function byBusy(left: Eligible, right: Eligible): number {
  return Number(left.replica.kind === "engine") - Number(right.replica.kind === "engine") || left.busy - right.busy;
}
