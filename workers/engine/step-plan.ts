/** What one forward pass computes. Pure. */

/** A running sequence as the planner sees it. */
export interface PlanEntry {
  readonly handle: number;
  /** Tokens the engine has read of it. */
  readonly position: number;
  /** Tokens it has still to read. */
  readonly pending: number;
}

/** Prompt tokens are cut where the engine's tiles end, counted from the sequence's start. */
export const prefillGrain = 32;

/**
 * Every sequence that has one token to read takes part, so that nobody's stream stalls. The prefill budget goes round in grains to those
 * with more to read, in the given order (rotate it from step to step): short prompts are not stuck behind long ones.
 */
export function planStep(entries: readonly PlanEntry[], prefillBudget: number): Uint32Array {
  const counts = new Map<PlanEntry, number>();
  for (const entry of entries) if (entry.pending === 1) counts.set(entry, 1);
  let hungry = entries.filter(({ pending }) => pending > 1);
  let budget = prefillBudget;
  while (hungry.length > 0) {
    hungry = hungry.filter((entry) => {
      const planned = counts.get(entry) ?? 0;
      const grain = prefillGrain - ((entry.position + planned) % prefillGrain);
      const take = Math.min(grain, entry.pending - planned);
      if (take > budget) return false;
      budget -= take;
      counts.set(entry, planned + take);
      return planned + take < entry.pending;
    });
  }
  const plan: number[] = [];
  for (const entry of entries) {
    const count = counts.get(entry);
    if (count !== undefined) plan.push(entry.handle, count);
  }
  return Uint32Array.from(plan);
}
