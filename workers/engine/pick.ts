/** Which engine object gets a request: two random choices, the less loaded first. Pure, so that a table can test it. */
import type { EngineLoad } from "../contracts/engine.ts";

/** Two different objects at random (one, where there is only one); `random` returns numbers in [0, 1). */
export function candidates(objects: number, random: () => number): number[] {
  const first = Math.floor(random() * objects);
  if (objects === 1) return [first];
  const second = Math.floor(random() * (objects - 1));
  return [first, second < first ? second : second + 1];
}

/**
 * Positions of the given loads, best first: the shortest queue, then the fewest running, then weights already in memory, then the most
 * room. An unknown load (the object did not answer) comes last. Ties keep their order.
 */
export function byLoad(loads: readonly (EngineLoad | undefined)[]): number[] {
  return loads.map((_, position) => position).sort((left, right) => compare(loads[left], loads[right]));
}

function compare(left: EngineLoad | undefined, right: EngineLoad | undefined): number {
  if (left === undefined || right === undefined) return Number(left === undefined) - Number(right === undefined);
  return (
    left.waiting - right.waiting ||
    left.running - right.running ||
    Number(right.loaded) - Number(left.loaded) ||
    right.freeStateBytes - left.freeStateBytes
  );
}
