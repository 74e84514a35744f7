/** Every refusal and failure the engine can give, decided here and nowhere else. */
import { internalFailure, isMistake } from "../contracts/call.ts";
import { ServiceError, type ServiceFailure } from "../contracts/errors.ts";
import { messageOf } from "../contracts/request/failures.ts";
import { engineErrorCode } from "./engine-surface.ts";

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
      return isMistake(error) ? internalFailure : engineUnavailable("the engine failed; its log says why");
  }
}
