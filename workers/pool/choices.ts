/**
 * Two random choices, the less busy first. Reports of load are seconds old and many isolates plan by the same ones: whoever took the least busy of
 * all would send every isolate's requests to the same backend. Pure.
 */
import type { Eligible } from "./eligible.ts";

/** Takes up to two out of `field`, best first; at most three numbers of `random`, each in [0, 1). */
export function drawTwo(field: readonly Eligible[], random: () => number): Eligible[] {
  const group = drawGroup(field, random);
  const first = drawOne(group, random);
  const second = drawOne(
    group.filter((one) => one !== first),
    random,
  );
  if (first === undefined || second === undefined) return first === undefined ? [] : [first];
  return second.busy / second.weight < first.busy / first.weight ? [second, first] : [first, second];
}

/**
 * Those of one order of weight. Between groups only weights decide: a canary of weight 0.05 is nearly idle, and any comparison of loads would
 * send it more than its share.
 */
function drawGroup(field: readonly Eligible[], random: () => number): readonly Eligible[] {
  const groups = Map.groupBy(field, ({ weight }) => Math.floor(Math.log2(weight)));
  if (groups.size <= 1) return field;
  let left = random() * sumOfWeights(field);
  let last = field;
  for (const group of groups.values()) {
    left -= sumOfWeights(group);
    last = group;
    if (left < 0) break;
  }
  return last;
}

function drawOne(group: readonly Eligible[], random: () => number): Eligible | undefined {
  if (group.length <= 1) return group[0];
  let left = random() * sumOfWeights(group);
  for (const one of group) {
    left -= one.weight;
    if (left < 0) return one;
  }
  return group.at(-1);
}

function sumOfWeights(group: readonly Eligible[]): number {
  return group.reduce((sum, { weight }) => sum + weight, 0);
}
