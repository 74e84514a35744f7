/** Copies the newest state of a conversation from one tenant's store to another's, where it is sealed under the other's key. */
import type { Outcome } from "../../contracts/engine.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import { identityOf } from "../identity.ts";
import type { SnapshotStore, StoredSnapshot } from "../snapshots/contract.ts";
import { ownerOf } from "./contract.ts";
import type { SessionRecord } from "./record.ts";
import type { StoredTurn } from "./turn-rows.ts";

/** The turns with the states that they have in the other store: a state that can't be copied is read again from its tokens later. */
export async function adopt(
  turns: readonly StoredTurn[],
  record: SessionRecord,
  from: Pick<SnapshotStore, "open">,
  to: Pick<SnapshotStore, "put">,
): Promise<readonly StoredTurn[]> {
  const newest = turns.findLast(({ snapshot }) => snapshot !== null);
  const without = turns.map((turn): StoredTurn => ({ ...turn, snapshot: null, snapshotTokens: 0 }));
  if (newest?.snapshot === undefined || newest.snapshot === null) return without;
  const opened = await from.open(newest.snapshot, newest.snapshotTokens);
  if (!opened.ok) return without;
  const kept = await keepState(to, record, newest, opened.value.bytes);
  if (kept?.ok !== true) return without;
  const state = { snapshot: kept.value.id, snapshotTokens: newest.snapshotTokens };
  return without.map((turn) => (turn.number === newest.number ? { ...turn, ...state } : turn));
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
