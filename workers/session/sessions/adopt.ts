/** Copies the newest state of a conversation from one tenant's store to another's, where it is sealed under the other's key. */
import type { Outcome } from "../../contracts/outcome.ts";
import { release } from "../../contracts/release.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import { identityOf } from "../identity.ts";
import type { SnapshotStore, StoredSnapshot } from "../snapshots/contract.ts";
import { ownerOf } from "./contract.ts";
import type { SessionRecord } from "./record.ts";
import { linesOfTurns, turnsOfLines } from "./turn-lines.ts";
import type { StoredTurn } from "./turn-rows.ts";

interface StateOfTurn {
  readonly number: number;
  readonly snapshot: string;
  readonly snapshotTokens: number;
}

/** Lines of turns with the states that they have in the other store: a state that can't be copied is read again from its tokens later. */
export async function adopt(
  lines: Uint8Array,
  record: SessionRecord,
  from: Pick<SnapshotStore, "open">,
  to: Pick<SnapshotStore, "put">,
): Promise<Uint8Array> {
  const newest = newestWithState(turnsOfLines(lines));
  const snapshot = newest === undefined ? null : await adoptState(newest, record, from, to);
  return linesOfTurns(withOneState(turnsOfLines(lines), newest?.number, snapshot));
}

/** The last of them that has one. */
export function newestWithState(turns: Iterable<StoredTurn>): StateOfTurn | undefined {
  let newest: StateOfTurn | undefined;
  for (const { number, snapshot, snapshotTokens } of turns) if (snapshot !== null) newest = { number, snapshot, snapshotTokens };
  return newest;
}

/** Its id in the other store; null where that fails. */
async function adoptState(
  newest: StateOfTurn,
  record: SessionRecord,
  from: Pick<SnapshotStore, "open">,
  to: Pick<SnapshotStore, "put">,
): Promise<string | null> {
  const opened = await from.open(newest.snapshot, newest.snapshotTokens);
  release(opened);
  const kept = opened.ok ? await keepState(to, record, newest, opened.value.bytes) : undefined;
  return kept?.ok === true ? kept.value.id : null;
}

function* withOneState(turns: Iterable<StoredTurn>, number: number | undefined, snapshot: string | null): Generator<StoredTurn> {
  for (const turn of turns)
    yield turn.number === number && snapshot !== null ? { ...turn, snapshot } : { ...turn, snapshot: null, snapshotTokens: 0 };
}

/** Puts a state file into a store for a turn of a session; undefined where the store can't be reached. */
export async function keepState(
  store: Pick<SnapshotStore, "put">,
  record: SessionRecord,
  { number, snapshotTokens }: Pick<StoredTurn, "number" | "snapshotTokens">,
  bytes: ReadableStream<Uint8Array>,
): Promise<Outcome<StoredSnapshot> | undefined> {
  try {
    const owner = ownerOf(record.id, number);
    const order = {
      identity: identityOf(record.model),
      tokens: snapshotTokens,
      parent: null,
      fromPage: 0,
      chain: null,
      owner,
      expires: null,
    };
    return await store.put(order, bytes);
  } catch (cause) {
    logLine("error", "snapshot_store_failed", { session: record.id, step: "adopt", cause: describeCause(cause) });
    return undefined;
  }
}
