/**
 * How long a step takes over ranks that nothing disturbs. Between two meetings each rank has a stretch of work; the longest of them is what the
 * others wait for. Of every stretch the least of many rounds counts, so that other programs on the machine, which delay some stretch in every
 * round, do not show.
 */

/** Of one rank in one round: milliseconds of every stretch, copying to and from the others included, waiting left out. */
export type Stretches = readonly number[];

/** `waits[i]` tells whether call `i` waited for others; what lies between such calls is one stretch. */
export function stretchesOf(work: readonly number[], call: readonly number[], waits: readonly boolean[]): Stretches {
  const stretches = [0];
  const add = (milliseconds: number) => (stretches[stretches.length - 1] = (stretches.at(-1) ?? 0) + milliseconds);
  for (const [at, waited] of waits.entries()) {
    add(work[at] ?? 0);
    if (waited) stretches.push(0);
    else add(call[at] ?? 0);
  }
  return stretches;
}

export function leastOf(one: Stretches | undefined, other: Stretches): Stretches {
  if (one !== undefined && one.length !== other.length) throw new Error("a step has met the others a different number of times");
  return one === undefined ? other : one.map((milliseconds, at) => Math.min(milliseconds, other[at] ?? Infinity));
}

export interface Summary {
  /** Milliseconds of the longest rank's stretches. */
  readonly longest: number;
  /** Of each rank's. */
  readonly ranks: readonly number[];
}

export function summaryOf(ranks: readonly Stretches[]): Summary {
  const total = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0);
  const [first = []] = ranks;
  if (ranks.some(({ length }) => length !== first.length)) throw new Error("the ranks have met a different number of times");
  return { longest: total(first.map((_, at) => Math.max(...ranks.map((one) => one[at] ?? 0)))), ranks: ranks.map(total) };
}
