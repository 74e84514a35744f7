/** Whose memory goes to somebody else. Pure. `running` is oldest first. */
import type { Generation } from "./generation.ts";
import type { SchedulerLimits } from "./scheduler-limits.ts";
import { holdings, type Holding } from "./shares.ts";

type Holder = Holding &
  Pick<
    Generation,
    "canReadAgain" | "holdsForSaving" | "isForItsState" | "stalledSince" | "finishedAt" | "insists" | "hasProgressed" | "generated"
  >;

/**
 * When what runs needs more than is free: first what only saves a state beside its answer, then what yields to others, then the youngest of the share that
 * holds the most among those that have got further since they last gave way, and where nobody has, the youngest of all that can be read again,
 * so that the oldest gets on. Only then comes one that has to be begun again by whoever handed the state over.
 */
export function nextToGiveWay<T extends Holder>(running: readonly T[], saving: readonly T[]): T | undefined {
  return (
    saving.findLast(({ isForItsState }) => !isForItsState) ??
    running.findLast(({ holdsForSaving }) => holdsForSaving) ??
    running.findLast(({ yields }) => yields) ??
    youngestOfTheLargest(running) ??
    running.findLast(({ canReadAgain, insists }) => canReadAgain && !insists) ??
    running.findLast(({ canReadAgain }) => canReadAgain) ??
    saving.at(-1) ??
    running.at(-1)
  );
}

/**
 * Who makes room for a waiting sequence that needs `bytes` and finds `free`: what yields, where the waiting one does not, then the youngest of
 * the share that holds the most, as long as it holds more than the waiting one's will: first those that can be read again here, then those whose
 * state was handed over, once they have brought a token. Whoever handed it over begins from it again, and goes on with the same tokens. Nobody
 * where that would not be enough.
 */
export function makingRoomFor<T extends Holder>(
  waiting: Pick<Holding, "share" | "yields">,
  bytes: number,
  free: number,
  running: readonly T[],
): readonly T[] {
  if (waiting.yields) return [];
  const held = holdings(running);
  const wanted = (held.find(([share]) => share === waiting.share)?.[1] ?? 0) + bytes;
  const [largest, most] = held.find(([share]) => share !== waiting.share) ?? [null, 0];
  const going: T[] = [];
  let room = free;
  let left = most;
  const go = (holder: T): void => {
    going.push(holder);
    room += holder.stateBytes;
    if (holder.share === largest) left -= holder.stateBytes;
  };
  for (const holder of running.toReversed()) if (room < bytes && holder.yields) go(holder);
  const others = running.filter((holder) => !holder.yields && holder.share !== waiting.share && holder.share === largest).toReversed();
  for (const mayGo of [mayBePreempted, mayBeBegunAgain]) {
    for (const holder of others) if (room < bytes && mayGo(holder) && left > wanted) go(holder);
  }
  return room < bytes ? [] : going;
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
    saving.find((holder) => (overdue(holder) && !holder.isForItsState) || stalled(holder)) ??
    running.findLast((holder) => stalled(holder) && holder.canReadAgain) ??
    running.findLast(stalled)
  );
}

const mayBePreempted = ({ canReadAgain, insists, hasProgressed }: Holder): boolean => canReadAgain && !insists && hasProgressed;

/** An attempt that brought nothing must not end: whoever made it tries only so often. */
const mayBeBegunAgain = ({ canReadAgain, insists, generated, hasProgressed, finishedAt }: Holder): boolean =>
  !canReadAgain && !insists && generated > 0 && hasProgressed && finishedAt === undefined;

function youngestOfTheLargest<T extends Holder>(running: readonly T[]): T | undefined {
  for (const [share] of holdings(running)) {
    const youngest = running.findLast((holder) => holder.share === share && mayBePreempted(holder));
    if (youngest !== undefined) return youngest;
  }
  return undefined;
}

/** Those whose sequences nothing is being done with. */
export function atRest(generations: readonly Generation[]): Generation[] {
  return generations.filter(({ stepping }) => !stepping);
}
