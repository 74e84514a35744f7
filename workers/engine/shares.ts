/** What is shared between those whose requests are served: places, memory and passes go to shares first, and within one share to its sequences. Pure. */

/** A sequence, running or waiting, as its share is reckoned. */
export interface Claim {
  /** Whose it is: sequences with the same value share what one of them alone would get. Null is one share too, of all who have no name. */
  readonly share: string | null;
  /** Whether it takes only what others leave: a document that is read in the background. */
  readonly yields: boolean;
}

/** One that holds memory. */
export interface Holding extends Claim {
  readonly stateBytes: number;
}

/**
 * Who is served next of those who wait (evicted ones first, then by arrival): whoever does not yield, then whoever's share has the fewest
 * sequences running, then whoever stands first.
 */
export function nextToAdmit<T extends Claim>(waiting: readonly T[], running: readonly Claim[]): T | undefined {
  const counts = new Map<string | null, number>();
  for (const { share } of running) counts.set(share, (counts.get(share) ?? 0) + 1);
  const rank = ({ yields, share }: T): readonly [number, number] => [Number(yields), counts.get(share) ?? 0];
  let first: T | undefined;
  for (const candidate of waiting) {
    if (first === undefined) first = candidate;
    else {
      const [yields, count] = rank(candidate);
      const [firstYields, firstCount] = rank(first);
      if (yields < firstYields || (yields === firstYields && count < firstCount)) first = candidate;
    }
  }
  return first;
}

/**
 * Whether a waiting sequence has a place among the running: `most` for all together, and beyond that, up to as many again, one for a share
 * that has none yet, so that nobody waits for the end of another's answers.
 */
export function hasPlace({ share }: Claim, running: readonly Claim[], most: number): boolean {
  if (running.length < most) return true;
  return running.length < 2 * most && running.every((other) => other.share !== share);
}

/** Bytes that each share's sequences hold, the most first. */
export function holdings(running: readonly Holding[]): (readonly [share: string | null, bytes: number])[] {
  const bytes = new Map<string | null, number>();
  for (const { share, stateBytes } of running) bytes.set(share, (bytes.get(share) ?? 0) + stateBytes);
  return [...bytes].sort(([, left], [, right]) => right - left);
}

/** The sequences of each share, in the order of the first of each. */
export function byShare<T extends { readonly share?: string | null }>(candidates: readonly T[]): T[][] {
  const groups = new Map<string | null, T[]>();
  for (const candidate of candidates) {
    const share = candidate.share ?? null;
    const group = groups.get(share);
    if (group === undefined) groups.set(share, [candidate]);
    else group.push(candidate);
  }
  return [...groups.values()];
}

/** One of each group, then another of each that has more, and so on. */
export function interleaved<T>(groups: readonly (readonly T[])[]): T[] {
  const longest = groups.reduce((most, { length }) => Math.max(most, length), 0);
  return Array.from({ length: longest }, (_unused, round) => groups.flatMap((group) => group.slice(round, round + 1))).flat();
}

/**
 * The order in which sequences are considered for a pass: another share is first in every round, and of each share those come first that took
 * part the longest ago.
 */
export function inOrder<T extends { readonly share?: string | null; readonly servedAt?: number }>(
  candidates: readonly T[],
  round: number,
): T[] {
  const groups = byShare(candidates).map((group) => group.toSorted((left, right) => (left.servedAt ?? 0) - (right.servedAt ?? 0)));
  const first = round % Math.max(1, groups.length);
  return interleaved([...groups.slice(first), ...groups.slice(0, first)]);
}
