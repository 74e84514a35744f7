/** Which of a conversation's states the store keeps for it. */
import type { SnapshotStore } from "../snapshots/contract.ts";
import { ownerOf } from "./contract.ts";
import type { TurnRows } from "./turn-rows.ts";

export interface StateOwner {
  readonly session: string;
  readonly turns: TurnRows;
  readonly store: Pick<SnapshotStore, "keep" | "release">;
}

/** A session lets go of its states itself; this is for a fork that never comes to it. */
const forkMilliseconds = 60 * 24 * 3600 * 1000;

/**
 * Of the turns that have a state, those that keep it: the last two, for who goes on and for who takes the last one back; those whose numbers
 * are powers of two, so that a rewind or a fork anywhere reads at most half of the conversation again, at a cost that grows with the logarithm
 * of its length; and 0, which is a document.
 */
export function keptTurns(numbers: readonly number[]): ReadonlySet<number> {
  const isMark = (number: number) => number === 0 || Number.isInteger(Math.log2(number));
  return new Set([...numbers.filter(isMark), ...numbers.slice(-2)]);
}

/** A copy keeps the states that it shares. One that can't be kept is read again from its tokens. */
export async function keepShared({ session, turns, store }: StateOwner): Promise<void> {
  const states = turns.states();
  const kept = keptTurns(states.map(({ number }) => number));
  for (const { number, snapshot } of states) {
    const keep = async () => (await store.keep(snapshot, ownerOf(session, number), Date.now() + forkMilliseconds)).ok;
    if (!kept.has(number) || !(await keep().catch(() => false))) turns.forget(snapshot);
  }
}

/** After a turn: the store may have back what is no longer kept. */
export async function letOldStatesGo({ session, turns, store }: StateOwner): Promise<void> {
  const states = turns.states();
  const kept = keptTurns(states.map(({ number }) => number));
  for (const { number, snapshot } of states) {
    if (kept.has(number)) continue;
    turns.forget(snapshot);
    await store.release(ownerOf(session, number));
  }
}
