/**
 * Two random choices out of the less busy half, the less busy first. Reports of load are seconds old and many isolates plan by the same ones: whoever took the least busy of
 * all would send every isolate's requests to the same backend. Pure.
 */
import type { Eligible } from "./eligible.ts";

/** Takes up to two out of `field`, best first; at most three numbers of `random`, each in [0, 1). */
export function drawTwo(field: readonly Eligible[], random: () => number): Eligible[] {
  const group = drawGroup(field, random);
  const half = lessBusyHalf(group);
  const first = drawOne(half, random);
  if (first === undefined) return [];
  const second = drawOne(half.length > 1 ? half : group, random, first);
  if (second === undefined) return [first];
  return second.busy / second.weight < first.busy / first.weight ? [second, first] : [first, second];
}

/**
 * Those of one order of weight. Between groups only weights decide: a canary of weight 0.05 is nearly idle, and any comparison of loads would
 * send it more than its share.
 */
function drawGroup(field: readonly Eligible[], random: () => number): readonly Eligible[] {
  const [some] = field;
  if (some === undefined || field.every(({ weight }) => weight === some.weight)) return field;
  let left = random() * sumOfWeights(field);
  let last = field;
  for (const group of Map.groupBy(field, ({ weight }) => Math.floor(Math.log2(weight))).values()) {
    left -= sumOfWeights(group);
    last = group;
    if (left < 0) break;
  }
  return last;
}

/** No busier than the median: of many that are as busy, all. */
function lessBusyHalf(group: readonly Eligible[]): readonly Eligible[] {
  const shares = Float64Array.from(group, ({ busy, weight }) => busy / weight).sort();
  const median = shares[(shares.length - 1) >> 1] ?? 0;
  return group.filter(({ busy, weight }) => busy / weight <= median);
}

function drawOne(group: readonly Eligible[], random: () => number, except?: Eligible): Eligible | undefined {
  const isLast = group.length === (except === undefined ? 1 : 2);
  let left = isLast ? 0 : random() * (sumOfWeights(group) - (except?.weight ?? 0));
  let last: Eligible | undefined;
  for (const one of group) {
    if (one === except) continue;
    last = one;
    left -= one.weight;
    if (left < 0) break;
  }
  return last;
}

function sumOfWeights(group: readonly Eligible[]): number {
  let sum = 0;
  for (const { weight } of group) sum += weight;
  return sum;
}
