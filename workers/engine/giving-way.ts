/** Whose memory goes to somebody else. Pure. */
import type { Generation } from "./generation.ts";
import type { SchedulerLimits } from "./scheduler-limits.ts";

type Holder = Pick<Generation, "canReadAgain" | "holdsForSaving" | "stalledSince" | "finishedAt">;

/**
 * When what runs needs more than is free: first what only saves a state, then the youngest that can be read again, and only then one that
 * has to be begun again by whoever handed the state over. `running` is oldest first.
 */
export function nextToGiveWay<T extends Holder>(running: readonly T[], saving: readonly T[]): T | undefined {
  return (
    saving.at(-1) ??
    running.findLast(({ holdsForSaving }) => holdsForSaving) ??
    running.findLast(({ canReadAgain }) => canReadAgain) ??
    running.at(-1)
  );
}

/** When somebody waits: one whose reader has long not read, or an ended answer whose state has had its time to go out. */
export function idleHolder<T extends Holder>(
  running: readonly T[],
  saving: readonly T[],
  limits: Pick<SchedulerLimits, "stallEvictionMilliseconds" | "savingMilliseconds">,
  now: number,
): T | undefined {
  const stalled = ({ stalledSince }: T): boolean => stalledSince !== undefined && now - stalledSince >= limits.stallEvictionMilliseconds;
  const overdue = ({ finishedAt }: T): boolean => finishedAt !== undefined && now - finishedAt >= limits.savingMilliseconds;
  return (
    saving.find((holder) => overdue(holder) || stalled(holder)) ??
    running.findLast((holder) => stalled(holder) && holder.canReadAgain) ??
    running.findLast(stalled)
  );
}
