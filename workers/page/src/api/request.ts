import { connectionFailure, FailureError, record, responseFailure } from "./failure.ts";
import { currentKey } from "./key.ts";

export interface RequestOptions {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, in place of `json`. */
  readonly body?: Blob;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** One request with the visitor's key. Throws a {@link FailureError} for a refusal or a dead connection, and the abort's reason after one. */
export async function request(path: string, { method = "GET", json, body, headers, signal }: RequestOptions): Promise<Response> {
  const content = json === undefined ? body : JSON.stringify(json);
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: {
        authorization: `Bearer ${currentKey()}`,
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(content === undefined ? {} : { body: content }),
      signal,
    });
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new FailureError(connectionFailure(navigator.onLine), { cause });
  }
  if (!response.ok) throw new FailureError(await responseFailure(response));
  return response;
}

/** A request whose answer is one JSON object. */
export async function requestRecord(path: string, options: RequestOptions): Promise<Record<string, unknown>> {
  const response = await request(path, options);
  const body = record(await response.json().catch(() => undefined));
  if (body === undefined) throw new FailureError({ kind: "protocol", status: response.status });
  return body;
}

/** Deletes; what is gone already counts as deleted. */
export async function deleteIfThere(path: string, signal: AbortSignal): Promise<void> {
  await request(path, { method: "DELETE", signal }).catch((error: unknown) => {
    if (!(error instanceof FailureError) || error.failure.kind !== "gone") throw error;
  });
}
