/** A failure as Anthropic's clients read it, in a response or as a stream's last event. */
import type { ServiceFailure } from "../../contracts/errors.ts";

export const isMessagesPath = (path: string): boolean => path === "/v1/messages" || path.startsWith("/v1/messages/");

/** It has no place for the field at fault, so that the message names it. */
export function messagesErrorBody(failure: ServiceFailure, requestId: string): object {
  const { status, message, param } = failure;
  const named = param === undefined || message.includes(param) ? message : `'${param}': ${message}`;
  return { type: "error", error: { type: errorType(status), message: named, ...detailsOf(failure) }, request_id: requestId };
}

/** The SDKs' tool runners ask for a thread unless they are told not to, and go on without one where they read this. */
const detailsOf = ({ code, param }: ServiceFailure): object =>
  code === "unsupported_field" && param === "thread" ? { details: { error_code: "thread_unsupported_request", unsupported: [param] } } : {};

function errorType(status: number): string {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}
