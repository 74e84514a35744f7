/** How a store is told that states are not needed any more. */
import { ServiceError } from "../../contracts/errors.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import type { SnapshotStore } from "./contract.ts";

/**
 * Releases what the owner keeps, for a session. A store that can't be reached keeps it: it is released when the session is deleted, so that
 * nothing else fails for it.
 */
export async function releaseOwned(store: Pick<SnapshotStore, "release">, session: string, owner: string): Promise<void> {
  try {
    await store.release(owner);
  } catch (cause) {
    const why = cause instanceof ServiceError ? cause.failure.code : describeCause(cause);
    logLine("error", "snapshot_store_failed", { session, step: "release", cause: why });
  }
}
