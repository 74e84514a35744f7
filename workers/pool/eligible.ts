/** Which backends can take a request, and why the others cannot. Pure. */
import { missingAbility } from "../contracts/request/missing-ability.ts";
import type { ModelVersion } from "../contracts/model-version.ts";
import type { Ability } from "../contracts/abilities.ts";
import type { GenerateRequest, ModelDescription } from "../contracts/engine.ts";
import type { HealthView } from "./health.ts";
import type { Replica, ReplicaLoad } from "./replica.ts";

/** What of a request decides where it can run. */
export type RequestToPlace = Parameters<typeof missingAbility>[0] &
  Pick<GenerateRequest, "model" | "prompt" | "maxTokens" | "resume" | "countSpikes" | "reportState">;

/**
 * In the order in which it is looked: what no waiting mends comes first. `version`: it has the model in another version. `field`: it lacks what a
 * field of the request needs. `context`: prompt and answer are longer than it takes.
 */
export type ExclusionKind = "model" | "version" | "field" | "context" | "weight" | "draining" | "breaker" | "full";

export interface Exclusion {
  readonly name: string;
  readonly kind: ExclusionKind;
  /** A few words, for administrators. */
  readonly why: string;
  /** The request's field that it lacks the ability for; with `field`. */
  readonly param?: string;
}

/** A backend that can take the request, and its load as far as it is known. */
export interface Eligible {
  readonly replica: Replica;
  readonly name: string;
  readonly weight: number;
  /** Requests there, as a share of as many as it computes at a time: above 1 some of them wait. */
  readonly busy: number;
  /** As many as it computes at a time. */
  readonly atOnce: number;
  /** The next request is its breaker's trial. */
  readonly isTrial: boolean;
}

interface Needs {
  readonly model: ModelVersion;
  readonly fields: readonly { readonly ability: Ability; readonly param: string }[];
  readonly tokens: number;
  readonly resumed: number;
  readonly spikes: boolean;
  readonly state: boolean;
}

/** Requests at a time that a backend is taken to compute where it does not say: what one GPU commonly batches. */
const usuallyRunning = 16;

/** Looks once at what the request needs, and then at each backend. */
export function needsOf(request: RequestToPlace): Needs {
  const fields: { ability: Ability; param: string }[] = [];
  for (let one = missingAbility(request, []); one !== undefined;) {
    fields.push(one);
    one = missingAbility(
      request,
      fields.map(({ ability }) => ability),
    );
  }
  const { model, prompt, maxTokens, resume, countSpikes = false, reportState = false } = request;
  return { model, fields, tokens: prompt.length + maxTokens, resumed: resume?.tokens ?? 0, spikes: countSpikes, state: reportState };
}

/** The backend with its load, or why it gets none of this request. */
export function lookAt(replica: Replica, needs: Needs, health: HealthView): Eligible | Exclusion {
  const { name, weight, load } = replica;
  const model = replica.models.find((one) => isVersion(one, needs.model));
  if (model === undefined) {
    const other = replica.models.some(({ id }) => id === needs.model.id);
    if (other) return { name, kind: "version", why: "has the model with other weights or another tokenizer" };
    return { name, kind: "model", why: "does not have the model" };
  }
  const lacks = lackOf(model, needs);
  if (lacks !== undefined) return { name, ...lacks };
  if (weight <= 0) return { name, kind: "weight", why: "its weight is 0" };
  if (replica.draining) return { name, kind: "draining", why: "it is draining" };
  const breaker = health.breaker(name);
  if (breaker === "open") return { name, kind: "breaker", why: "it failed lately" };
  if (breaker === "tried") return { name, kind: "breaker", why: "it failed lately, and another request tries it" };
  const requests = health.requestsAt(replica);
  if (load.mostRequests !== null && requests >= load.mostRequests) {
    return { name, kind: "full", why: `it has ${requests} of at most ${load.mostRequests} requests` };
  }
  if (health.isFull(replica)) return { name, kind: "full", why: "it has just refused a request for want of room" };
  const atOnce = runningAtOnce(load);
  return { replica, name, weight, busy: requests / atOnce, atOnce, isTrial: breaker === "trial" };
}

function runningAtOnce({ mostRunning, mostRequests }: ReplicaLoad): number {
  return mostRunning ?? Math.min(usuallyRunning, mostRequests ?? usuallyRunning);
}

export function isVersion(model: ModelVersion, asked: ModelVersion): boolean {
  return model.id === asked.id && model.digest === asked.digest && model.tokenizerDigest === asked.tokenizerDigest;
}

function lackOf(model: ModelDescription, needs: Needs): Omit<Exclusion, "name"> | undefined {
  for (const { ability, param } of needs.fields) {
    if (!model.abilities.includes(ability)) return { kind: "field", why: `it lacks the ability '${ability}'`, param };
  }
  if (needs.spikes && (model.spikes ?? "off") === "off") return { kind: "field", why: "it counts no spikes", param: "countSpikes" };
  if (needs.state && model.state === undefined) return { kind: "field", why: "it cannot tell of its state", param: "reportState" };
  const tokens = needs.tokens + (model.state?.constant === true ? 0 : needs.resumed);
  if (tokens > model.contextLength) return { kind: "context", why: `it takes ${model.contextLength} tokens, and ${tokens} are asked for` };
  return undefined;
}
