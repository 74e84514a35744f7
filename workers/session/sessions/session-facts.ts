/** What a session says of itself. */
import type { IngestProgress, SessionFacts } from "../../contracts/session.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import type { SessionRecord } from "./record.ts";
import type { TokenLog } from "./token-log.ts";
import type { TurnRows } from "./turn-rows.ts";

/** After its last use. */
export const lifeSeconds = 30 * 24 * 3600;

/** Until a fork that goes with its turn is looked at: the turn may have been lost with the object that ran it. */
const passingSeconds = 600;

/** Unix seconds. A share is deleted when its link ends, which is sooner; this is for one whose link has been lost. */
export const expiryOf = ({ kind, updated, isPassing }: SessionRecord): number =>
  updated + (isPassing === true ? passingSeconds : kind === "share" ? 2 * lifeSeconds : lifeSeconds);

export interface FactSources {
  readonly turns: TurnRows;
  readonly tokens: TokenLog;
  readonly store: Pick<SnapshotStore, "facts">;
  readonly databaseBytes: number;
  readonly ingest: IngestProgress | undefined;
}

export async function sessionFacts(record: SessionRecord, sources: FactSources): Promise<SessionFacts> {
  const { turns, tokens, store, databaseBytes, ingest } = sources;
  const { id, kind, name, model, created, updated, parent, running } = record;
  const snapshot = turns.withSnapshot()?.snapshot ?? null;
  // A store that can't be asked now says nothing against the session.
  const state = snapshot === null ? null : await store.facts(snapshot).catch(() => null);
  return {
    id,
    kind: kind === "context" ? "context" : "session",
    ...{ name, model: model.id, version: model, created, updated },
    expires: updated + lifeSeconds,
    tokens: tokens.length,
    turns: Math.max(0, turns.last),
    stateBytes: state?.fileBytes ?? 0,
    bytes: databaseBytes + (state?.ownBytes ?? 0),
    tier: state === null ? "tokens" : state.tier === "durable" ? "durable" : "hot",
    ...(parent === null ? {} : { parent }),
    ...(running === null ? {} : { running: running.stream }),
    ...(ingest === undefined ? {} : { ingest }),
    ...(record.metadata === undefined ? {} : { metadata: record.metadata }),
  };
}
