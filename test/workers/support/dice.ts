/** Chance that can be repeated. */
export interface Dice {
  /** An integer in [0, bound). */
  below(bound: number): number;
  of<T>(values: readonly T[]): T;
  weighted<T>(values: readonly (readonly [weight: number, value: T])[]): T;
}

/** Mulberry32. */
export function seeded(seed: number): Dice {
  let state = seed >>> 0;
  const below = (bound: number): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
  return {
    below,
    of: (values) => {
      const value = values[below(values.length)];
      if (value === undefined) throw new Error("nothing to choose from");
      return value;
    },
    weighted: (values) => {
      let left = below(values.reduce((sum, [weight]) => sum + weight, 0));
      for (const [weight, value] of values) {
        if (left < weight) return value;
        left -= weight;
      }
      throw new Error("nothing to choose from");
    },
  };
}
