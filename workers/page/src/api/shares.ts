import { FailureError } from "./failure.ts";
import { deleteIfThere, requestRecord } from "./request.ts";
import { sessionPath } from "./sessions.ts";
import { turnsOf, type Turn } from "./turns.ts";

/** A link to a read-only copy of a session as it was. */
export interface Share {
  readonly id: string;
  /** Unix seconds. */
  readonly expires: number;
}

/** What the link shows to whoever has it. */
export interface SharedSession {
  readonly id: string;
  readonly name: string;
  readonly model: string;
  readonly tokens: number;
  readonly expires: number;
  readonly turns: readonly Turn[];
}

export async function shareSession(session: string, seconds: number, signal: AbortSignal): Promise<Share> {
  const json = { expires_in: seconds };
  const { id, expires } = await requestRecord(`${sessionPath(session)}/share`, { method: "POST", json, signal });
  if (typeof id !== "string" || typeof expires !== "number") throw new FailureError({ kind: "protocol" });
  return { id, expires };
}

export async function revokeShare(id: string, signal: AbortSignal): Promise<void> {
  await deleteIfThere(sharePath(id), signal);
}

export async function fetchShared(id: string, signal: AbortSignal): Promise<SharedSession> {
  const { name, model, tokens, expires, turns } = await requestRecord(sharePath(id), { signal });
  if (typeof model !== "string" || typeof expires !== "number" || !Array.isArray(turns)) throw new FailureError({ kind: "protocol" });
  return {
    id,
    name: typeof name === "string" ? name : "",
    model,
    tokens: typeof tokens === "number" ? tokens : 0,
    expires,
    turns: turnsOf(turns),
  };
}

function sharePath(id: string): string {
  return `/v1/shares/${encodeURIComponent(id)}`;
}
