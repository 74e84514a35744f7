/** Constructors for the failures that the session Worker itself decides, and how thrown ones leave an object. */
import { unreachable } from "../contracts/call.ts";
import type { Outcome } from "../contracts/outcome.ts";
import { ServiceError, type FailureCode, type ServiceFailure } from "../contracts/errors.ts";

function refuse(code: FailureCode, status: number, message: string, param?: string): ServiceFailure {
  return { code, status, message, retryable: false, ...(param === undefined ? {} : { param }) };
}

/** What is thrown as a {@link ServiceError} is an outcome on the way out of an object, where errors lose their class. */
export async function asOutcome<T>(call: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof ServiceError) return { ok: false, failure: cause.failure };
    throw cause;
  }
}

export const streamNotFound = () =>
  refuse("stream_not_found", 404, "There is no such stream, or it belongs to another key, or it has expired.");
export const sessionNotFound = () => refuse("session_not_found", 404, "There is no such session.", "session_id");
export const contextNotFound = () => refuse("context_not_found", 404, "There is no such context.", "context_id");
export const responseNotFound = () => refuse("response_not_found", 404, "There is no such response, or it has expired.", "response_id");
/** Its turn is written down a moment before its stream ends, so that another try finds it then. */
export const responseRunning = (): ServiceFailure => ({
  ...refuse("conflict", 409, "The response has not ended: wait for its end, or cancel it.", "response_id"),
  retryable: true,
  retryAfterSeconds: 1,
});
export const shareNotFound = () => refuse("share_not_found", 404, "There is no such share, or it has expired.");
export const snapshotSealed = (message: string) => refuse("snapshot_sealed", 400, message);
export const conflict = (message: string, param?: string) => refuse("conflict", 409, message, param);
export const documentTooLarge = (most: number) =>
  refuse("payload_too_large", 413, `A document may have ${String(most)} tokens; this one has more.`, "text");
export const conversationTooLong = (tokens: number, added: number, most: number) =>
  refuse(
    "context_length_exceeded",
    400,
    `A session may have ${String(most)} tokens; it has ${String(tokens)}, and the turn may add ${String(added)}.`,
    "session_id",
  );
export const sessionTooLarge = (bytes: number, most: number, added?: number) =>
  refuse(
    "context_length_exceeded",
    400,
    `'session_id': a session may hold ${String(most)} bytes of transcript and tokens; it holds ${String(bytes)}` +
      (added === undefined ? "." : `, and the turn may add ${String(added)}.`),
    "session_id",
  );
export const sessionOfAnotherModel = (model: string) =>
  refuse("invalid_request", 400, `'session_id': the session was made with the model '${model}'.`, "session_id");

/** How somebody makes room again, by the kind that takes the most. */
const makingRoom = {
  states: "delete sessions, contexts or shares, which keep states",
  sessions: "delete sessions (DELETE /v1/sessions/ID)",
  contexts: "delete contexts (DELETE /v1/contexts/ID)",
  shares: "end shares (GET /v1/shares lists them, DELETE /v1/shares/ID ends one)",
  streams: "answers that have ended are let go of within minutes, so try again later",
} as const;

/** What a tenant would keep by kind, in bytes; `secondsToEnd`: until the next stream is let go of. */
export function quotaExceeded(
  limit: number,
  kept: Readonly<Record<keyof typeof makingRoom, number>>,
  secondsToEnd?: number,
): ServiceFailure {
  const kinds = Object.keys(makingRoom) as (keyof typeof makingRoom)[];
  const most = kinds.reduce((first, kind) => (kept[kind] > kept[first] ? kind : first));
  const sum = kinds.reduce((bytes, kind) => bytes + kept[kind], 0);
  const list = kinds.map((kind) => `${kind} ${String(kept[kind])}`).join(", ");
  const failure = refuse(
    "quota_exceeded",
    429,
    `quota: what a key keeps may take ${String(limit)} bytes; it would take ${String(sum)}: ${list}. Most of it are ${most}: ${makingRoom[most]}.`,
  );
  return most === "streams" && secondsToEnd !== undefined ? { ...failure, retryAfterSeconds: secondsToEnd } : failure;
}

export const modelKeepsNoStates = (model: string) =>
  refuse(
    "unsupported_field",
    400,
    `'model': the backend of the model '${model}' keeps no states, so no document can be read with it.`,
    "model",
  );

/** What an object keeps in its file. */
export type StoredThing = "conversation" | "context" | "share" | "stream" | "directory" | "store";

const whatToDo: Readonly<Record<StoredThing, string>> = {
  conversation: "this conversation cannot be read: delete it with DELETE /v1/sessions/{id}, restore its file, or go on with a new one",
  context: "this context cannot be read: delete it with DELETE /v1/contexts/{id}, restore its file, or make a new one",
  share: "this share cannot be read: restore its file, or share the conversation again",
  stream: "this stream cannot be read: restore its file, or ask again",
  directory: "this key's list of sessions, contexts and shares cannot be read: restore its file; each of them is still found by its id",
  store: "this key's index of states cannot be read: restore or remove its file; answers go on without it",
};

/** The file of an object is broken: no other try helps, and somebody has to decide. */
export const storageCorrupt = (thing: StoredThing) => refuse("storage_corrupt", 500, `Storage is damaged: ${whatToDo[thing]}.`);

export const invalidRequest = (message: string, param?: string) => refuse("invalid_request", 400, message, param);
/** It was ended by the reader, the client, or the time limit. */
export const cancelled = (message = "The generation was stopped.") => refuse("cancelled", 499, message);
export const internalError = (message: string): ServiceFailure => ({ code: "internal_error", status: 500, message, retryable: true });
/** An object that was moved or restarted under the call; another try reaches it. */
export const objectUnreachable = (): ServiceFailure => unreachable("session");
