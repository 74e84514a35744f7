/** The few statistics a record uses. A shared machine drifts, so two programs are compared round by round, never by far-apart averages. */

export interface Summary {
  readonly median: number;
  readonly minimum: number;
  readonly maximum: number;
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = finite(values).toSorted((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** The least of the values that at least this share of them does not exceed; `share` in (0, 1]. */
export function quantile(values: readonly number[], share: number): number {
  if (!(share > 0 && share <= 1)) throw new Error(`A quantile's share must be in (0, 1]; it is ${share}.`);
  return finite(values).toSorted((left, right) => left - right)[Math.ceil(share * values.length) - 1] ?? NaN;
}

export function summarize(values: readonly number[]): Summary {
  return { median: median(values), minimum: Math.min(...values), maximum: Math.max(...values) };
}

/** `value / baseline` of each round. */
export function pairedRatios(values: readonly number[], baseline: readonly number[]): number[] {
  return pairs(values, baseline).map(([value, base]) => {
    if (base === 0) throw new Error("A ratio needs a baseline other than 0.");
    return value / base;
  });
}

/** `value - baseline` of each round. */
export function pairedDifferences(values: readonly number[], baseline: readonly number[]): number[] {
  return pairs(values, baseline).map(([value, base]) => value - base);
}

/** Four significant digits: more than a shared machine can repeat. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

function pairs(values: readonly number[], baseline: readonly number[]): (readonly [value: number, base: number])[] {
  if (values.length !== baseline.length)
    throw new Error(`Rounds are compared pair by pair; one side has ${values.length} and the other ${baseline.length}.`);
  const bases = finite(baseline);
  return finite(values).map((value, round) => [value, bases[round] ?? NaN]);
}

function finite(values: readonly number[]): readonly number[] {
  if (values.length === 0) throw new Error("Statistics need at least one value.");
  const broken = values.find((value) => !Number.isFinite(value));
  if (broken !== undefined) throw new Error(`Statistics need finite values; one is ${broken}.`);
  return values;
}
