/** Every refusal and failure the engine can give, decided here and nowhere else. */
import type { ModelVersion } from "../contracts/engine.ts";
import { ServiceError, type ServiceFailure } from "../contracts/errors.ts";
import { engineErrorCode } from "./engine-surface.ts";

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

export function overloaded(message: string, retryAfterSeconds: number): ServiceFailure {
  return { code: "overloaded", status: 503, message, retryable: true, retryAfterSeconds };
}

export function modelInvalid(message: string, cause?: unknown): ServiceError {
  return new ServiceError({ code: "model_invalid", status: 500, message, retryable: false }, { cause });
}

export function engineUnavailable(message: string): ServiceFailure {
  return { code: "engine_unavailable", status: 503, message, retryable: true, retryAfterSeconds: 5 };
}

export function consumerGone(message: string): ServiceFailure {
  return { code: "cancelled", status: 499, message, retryable: false };
}

/** The message names what of the state is not valid. */
export function stateRejected(message: string): ServiceFailure {
  return { code: "state_rejected", status: 503, message, retryable: true };
}

export function stateLost(): ServiceFailure {
  const message = "the engine gave this sequence's memory to others, and the state that it was handed cannot be read again";
  return { code: "state_lost", status: 503, message, retryable: true };
}

/** What a caller may know of an error caught anywhere in the engine. */
export function failureOf(error: unknown): ServiceFailure {
  if (error instanceof ServiceError) return error.failure;
  switch (engineErrorCode(error)) {
    case "invalid_gguf":
    case "unsupported_model":
      return { code: "model_invalid", status: 500, message: `the model cannot be used: ${messageOf(error)}`, retryable: false };
    case "out_of_memory":
      return overloaded(`the engine's memory is full: ${messageOf(error)}`, 5);
    case "invalid_argument":
      return { code: "invalid_request", status: 400, message: messageOf(error), retryable: false };
    case "state_lost":
      return stateLost();
    case "invalid_state":
    case undefined:
      return engineUnavailable("the engine failed; its log says why");
  }
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
