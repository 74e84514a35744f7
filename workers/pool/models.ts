/** What the pool's backends have altogether, for Workers that ask before they plan anything. Pure. */
import type { ModelDescription } from "../contracts/engine.ts";
import type { ModelAvailability } from "../contracts/pool.ts";
import { isVersion } from "./eligible.ts";
import type { PoolSnapshot, Replica } from "./replica.ts";

interface Served {
  readonly description: ModelDescription;
  /** Of all backends that take work with it; 0 where they only end what they have. */
  readonly weight: number;
}

/**
 * Every version of every model, once: of one id first the version that more weight serves, so that what begins anew while replicas are replaced
 * begins with it. What differs between backends of a version is told of the most able of them; a plan finds those that can.
 */
export function modelsOf({ replicas }: PoolSnapshot): readonly ModelDescription[] {
  const served: Served[] = [];
  for (const replica of replicas) {
    for (const model of replica.models) {
      const weight = takesWork(replica) ? replica.weight : 0;
      const at = served.findIndex(({ description }) => isVersion(description, model));
      const known = served[at];
      if (known === undefined) served.push({ description: model, weight });
      else served[at] = { description: together(known.description, model), weight: known.weight + weight };
    }
  }
  return served.toSorted((left, right) => right.weight - left.weight).map(({ description }) => description);
}

/** Of every model that a backend has or that is asked for by id, in that order. */
export function availabilityOf({ replicas }: PoolSnapshot, ids: readonly string[]): readonly ModelAvailability[] {
  const all = new Set([...replicas.flatMap(({ models }) => models.map(({ id }) => id)), ...ids]);
  return Array.from(all, (id) =>
    availabilityOfOne(
      id,
      replicas.filter(({ models }) => models.some((model) => model.id === id)),
    ),
  );
}

function availabilityOfOne(id: string, having: readonly Replica[]): ModelAvailability {
  const taking = having.filter(takesWork);
  const kinds = [...new Set(taking.map(({ kind }) => kind))];
  if (taking.some(({ load }) => load.loaded)) return { id, status: "ready", reason: "", kinds };
  if (taking.length > 0) return { id, status: "cold", reason: "its weights are loaded with the first request", kinds };
  const reason = having.length === 0 ? "no backend has it" : "every backend that has it is draining or has the weight 0";
  return { id, status: "unavailable", reason, kinds };
}

const takesWork = ({ draining, weight }: Replica): boolean => !draining && weight > 0;

function together(one: ModelDescription, other: ModelDescription): ModelDescription {
  const state = one.state ?? other.state;
  const spikes = one.spikes ?? other.spikes;
  return {
    ...one,
    contextLength: Math.max(one.contextLength, other.contextLength),
    abilities: [...new Set([...one.abilities, ...other.abilities])],
    ...(state === undefined ? {} : { state }),
    ...(spikes === undefined ? {} : { spikes }),
  };
}
