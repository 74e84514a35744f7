/** The client of `/v1/sessions`: conversations whose states the server keeps. */
import { FailureError, record } from "./failure.ts";
import { listAll } from "./list.ts";
import { deleteIfThere, request, requestRecord } from "./request.ts";

/** What the server says of a session. */
export interface SessionFacts {
  readonly id: string;
  readonly name: string;
  readonly model: string;
  /** Unix seconds. */
  readonly updated: number;
  readonly expires: number;
  /** Of everything it has read and said. */
  readonly tokens: number;
  readonly turns: number;
  readonly stateBytes: number;
  /** Where its state lies: at the edge at once, in durable storage, or to be read again from its tokens. */
  readonly tier: "hot" | "durable" | "tokens";
  /** The session or context it was forked from. */
  readonly parent: string | null;
  /** The stream of the turn that runs now. */
  readonly running: string | null;
}

/** Where a session starts: empty, at a turn of another, with a document that was read, or with somebody's share. */
export type SessionOrigin =
  { readonly session: string; readonly turn: number } | { readonly context: string } | { readonly share: string } | null;

/** A `POST` whose answer is a session. */
export interface SessionCall {
  readonly path: string;
  readonly json: object;
  /** The session that it is about; null where it makes one of nothing. */
  readonly on: string | null;
}

export function creation(model: string, name: string | null, origin: SessionOrigin): SessionCall {
  return { path: "/v1/sessions", json: { model, ...(name === null ? {} : { name }), ...originFields(origin) }, on: null };
}

/** Back to the end of this turn; 0 is the beginning. */
export function rewinding(id: string, turn: number): SessionCall {
  return { path: `${sessionPath(id)}/rewind`, json: { turn }, on: id };
}

export function forking(id: string, turn: number): SessionCall {
  return { path: `${sessionPath(id)}/fork`, json: { turn }, on: id };
}

export async function callSession({ path, json }: SessionCall, signal: AbortSignal): Promise<SessionFacts> {
  return sessionFacts(await requestRecord(path, { method: "POST", json, signal }));
}

function originFields(origin: SessionOrigin): object {
  if (origin === null) return {};
  if ("share" in origin) return { share: origin.share };
  return { from: "context" in origin ? { context_id: origin.context } : { session_id: origin.session, turn: origin.turn } };
}

export async function fetchSession(id: string, signal: AbortSignal): Promise<SessionFacts> {
  return sessionFacts(await requestRecord(sessionPath(id), { signal }));
}

/** All of them, newest first. */
export async function listSessions(signal: AbortSignal): Promise<SessionFacts[]> {
  return (await listAll("/v1/sessions", "id", signal)).map(sessionFacts);
}

export async function renameSession(id: string, name: string, signal: AbortSignal): Promise<void> {
  await request(sessionPath(id), { method: "PATCH", json: { name }, signal });
}

/** One that is gone already counts as deleted. */
export async function deleteSession(id: string, signal: AbortSignal): Promise<void> {
  await deleteIfThere(sessionPath(id), signal);
}

export function sessionPath(id: string): string {
  return `/v1/sessions/${encodeURIComponent(id)}`;
}

export function sessionFacts(value: unknown): SessionFacts {
  const facts = record(value) ?? {};
  const parent = record(facts["parent"])?.["session_id"];
  const { id, name, model, tier, running } = facts;
  const counts = [facts["updated"], facts["expires"], facts["tokens"], facts["turns"], facts["state_bytes"]];
  const [updated, expires, tokens, turns, stateBytes] = counts.map((count) => (typeof count === "number" ? count : 0));
  if (typeof id !== "string" || typeof model !== "string") throw new FailureError({ kind: "protocol" });
  return {
    id,
    name: typeof name === "string" ? name : "",
    model,
    updated: updated ?? 0,
    expires: expires ?? 0,
    tokens: tokens ?? 0,
    turns: turns ?? 0,
    stateBytes: stateBytes ?? 0,
    tier: tier === "hot" || tier === "durable" ? tier : "tokens",
    parent: typeof parent === "string" ? parent : null,
    running: typeof running === "string" ? running : null,
  };
}
