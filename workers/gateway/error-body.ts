/** A failure as OpenAI clients read it, in a response or as a stream's last event. */
import type { ServiceFailure } from "../contracts/errors.ts";

export interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string };
}

export function errorBody(failure: ServiceFailure): ErrorBody {
  return { error: { message: failure.message, type: errorType(failure.status), param: failure.param ?? null, code: failure.code } };
}

/** Statuses that the OpenAI SDKs ask again after by themselves, unless `x-should-retry` says that it is of no use. */
const isAskedAgain = (status: number): boolean => status === 408 || status === 409 || status === 429 || status >= 500;

/** `bodyOf`: where clients read another body than OpenAI's. */
export function errorResponse(
  failure: ServiceFailure,
  extraHeaders: Record<string, string> = {},
  bodyOf: (failure: ServiceFailure) => object = errorBody,
): Response {
  const headers = new Headers({ "content-type": "application/json; charset=utf-8", "cache-control": "no-store", ...extraHeaders });
  if (failure.retryAfterSeconds !== undefined) headers.set("retry-after", String(Math.max(1, Math.ceil(failure.retryAfterSeconds))));
  else if (failure.retryable && (failure.status === 503 || failure.status === 429)) headers.set("retry-after", "1");
  if (!failure.retryable && isAskedAgain(failure.status)) headers.set("x-should-retry", "false");
  return new Response(JSON.stringify(bodyOf(failure)), { status: failure.status, headers });
}

function errorType(status: number): string {
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}
