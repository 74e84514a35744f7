/** Why a request is refused before it starts, said by every backend in the same words. */
import type { ModelVersion } from "../model-version.ts";
import type { ServiceFailure } from "../errors.ts";

export function invalidField(param: string, rule: string, value: unknown): ServiceFailure {
  return { code: "invalid_request", status: 400, message: `${param} ${rule}; it is ${show(value)}`, param, retryable: false };
}

export function contextLengthExceeded(promptTokens: number, maxTokens: number, contextLength: number): ServiceFailure {
  return {
    code: "context_length_exceeded",
    status: 400,
    message: `prompt and completion together may have ${String(contextLength)} tokens; they ask for ${String(promptTokens)} + ${String(maxTokens)} = ${String(promptTokens + maxTokens)}`,
    param: "prompt",
    retryable: false,
  };
}

export function otherModel(
  asked: Pick<ModelVersion, "id" | "digest">,
  { id, digest }: Pick<ModelVersion, "id" | "digest">,
): ServiceFailure {
  const message = `model must be '${id}' of digest ${digest}; it is '${asked.id}' of digest ${asked.digest}`;
  return { code: "model_not_found", status: 404, message, param: "model", retryable: false };
}

/** The message names what of the state is not valid. */
export function stateRejected(message: string): ServiceFailure {
  return { code: "state_rejected", status: 503, message, retryable: true };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A value short enough for a message. */
function show(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean" || value === null || value === undefined) return String(value);
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  return Array.isArray(value) ? `an array of ${String(value.length)}` : typeof value;
}
