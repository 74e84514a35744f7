/** Constructors for the failures that the gateway itself decides, so that one kind always carries one code and status. */
import { internalFailure } from "../contracts/call.ts";
import { ServiceError, type FailureCode } from "../contracts/errors.ts";

function refuse(code: FailureCode, status: number, message: string, param?: string): ServiceError {
  return new ServiceError({ code, status, message, retryable: false, ...(param === undefined ? {} : { param }) });
}

const shownCodeUnits = 200;
const shown = (id: string) => (id.length > shownCodeUnits ? `${id.slice(0, shownCodeUnits)}…` : id).toWellFormed();

export const invalidRequest = (message: string, param?: string) => refuse("invalid_request", 400, message, param);
export const unknownField = (param: string) => refuse("unknown_field", 400, `Unknown field: '${param}'.`, param);
export const unsupportedField = (param: string, message?: string) =>
  refuse("unsupported_field", 400, message ?? `'${param}' is not supported by this server.`, param);
export const sessionNotFound = () => refuse("session_not_found", 404, "There is no such session.", "session_id");
export const contextNotFound = () => refuse("context_not_found", 404, "There is no such context.", "context_id");
export const responseNotFound = (id: string, param = "response_id") =>
  refuse("response_not_found", 404, `There is no such response as '${shown(id)}', or it was not stored, or it has expired.`, param);
export const conversationNotFound = (param = "conversation") =>
  refuse("conversation_not_found", 404, "There is no such conversation.", param);
export const itemNotFound = () => refuse("not_found", 404, "There is no such item in the conversation.", "item_id");
/** A stream that was written by another version of this server. */
export const streamUnreadable = (message: string) =>
  refuse("stream_not_found", 404, `The stream was made by another version of this server. ${message}`);
/** A stream that was lost with its object, and whose answer then ended earlier than what its client has of it, which nobody has any more. */
export const streamShortened = (client: string, end: string) =>
  refuse(
    "conflict",
    409,
    `'Last-Event-ID': must be the id of an event that this stream has; it is '${client}', and the stream was interrupted and ended at '${end}'. Without the header it is read from its beginning.`,
    "Last-Event-ID",
  );
/** The same, where events are numbered. */
export const eventsShortened = (after: number, last: number) =>
  refuse(
    "conflict",
    409,
    `'starting_after': must be the number of an event that this response has, 0 to ${String(last)}; it is ${String(after)}.`,
    "starting_after",
  );
export const upgradeRefused = (protocol: string) =>
  refuse(
    "invalid_request",
    400,
    `'Upgrade': must be left out, for answers are streamed as server-sent events; it is '${protocol}'.`,
    "Upgrade",
  );
export const routeNotFound = (method: string) => refuse("not_found", 404, `No such route for ${method}. The API lives under /v1.`);
export const methodNotAllowed = (method: string, allow: string) =>
  refuse("method_not_allowed", 405, `Method ${method} is not allowed here; allowed: ${allow}.`);
/** `bytes` as they were declared; undefined where they were counted until there were too many. */
export const payloadTooLarge = (limitBytes: number, bytes?: number) =>
  refuse("payload_too_large", 413, `The request body may have at most ${limitBytes} bytes; it has ${bytes ?? "more"}.`);
export const unsupportedMediaType = (message: string) => refuse("unsupported_media_type", 415, message);
export const invalidApiKey = () => refuse("invalid_api_key", 401, "Missing or incorrect API key.");
/** The client has gone: nobody reads this, but logs and cleanup paths do. */
export const cancelled = () => refuse("cancelled", 499, "The client closed the request.");

/** Any thrown value as a {@link ServiceError}; what is not one of ours says nothing to the client beyond "internal error". */
export function asServiceError(cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause;
  return new ServiceError(internalFailure, { cause });
}
