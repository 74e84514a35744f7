import type { ChatMessage } from "./chat-request.ts";
import { post } from "./chat-stream.ts";
import { connectionFailure, FailureError, record, responseFailure } from "./failure.ts";

export interface ServedModel {
  readonly id: string;
  /** Longest prompt plus answer, in tokens; null where the server does not say. */
  readonly contextLength: number | null;
}

/** The first model of `GET /v1/models`. */
export async function fetchModel(signal: AbortSignal): Promise<ServedModel> {
  let response: Response;
  try {
    response = await fetch("/v1/models", { signal });
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new FailureError(connectionFailure(navigator.onLine), { cause });
  }
  if (!response.ok) throw new FailureError(await responseFailure(response));
  const body: unknown = await response.json().catch(() => undefined);
  const list = record(body)?.["data"];
  const model = record(Array.isArray(list) ? list[0] : undefined);
  const id = model?.["id"];
  if (typeof id !== "string") throw new FailureError({ kind: "protocol", status: response.status });
  const length = model?.["max_model_len"];
  return { id, contextLength: typeof length === "number" ? length : null };
}

/** How many tokens these messages take as a prompt, from `POST /tokenize`. */
export async function countTokens(model: string, messages: readonly ChatMessage[], signal: AbortSignal): Promise<number> {
  const response = await post("/tokenize", { model, messages }, signal);
  const body: unknown = await response.json().catch(() => undefined);
  const count = record(body)?.["count"];
  if (typeof count !== "number") throw new FailureError({ kind: "protocol", status: response.status });
  return count;
}
