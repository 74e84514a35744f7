/**
 * What clients hear of a replica that refused, broke or lied. A replica's own words are never passed on: they may hold an address, a prompt or
 * the key that it was asked with. All of these are retryable, because another replica, or the same one later, may do better.
 */
import { brokenAnswer, unreachable } from "../../contracts/call.ts";
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";

const longestRetrySeconds = 60;
const defaultRetrySeconds = 1;

export function notReached(): ServiceFailure {
  return unreachable("engine");
}

/** What came cannot be an answer; `what` says why, in words of this project. */
export function malformed(what: string): ServiceError {
  return new ServiceError(brokenAnswer("engine", `the backend's answer cannot be read: ${what}`));
}

export function brokeOff(): ServiceFailure {
  return brokenAnswer("engine", "the backend's answer broke off");
}

export function endedEarly(what: string): ServiceError {
  return new ServiceError(brokenAnswer("engine", `the backend ended the answer early: ${what}`));
}

/** A refusal by status; `code` is the replica's, where it is a plain word. */
export class ReplicaRefusal extends ServiceError {
  readonly status: number;
  readonly code: string | null;

  constructor(status: number, code: string | null, retryAfter: string | null) {
    super(refusalOf(status, code, retryAfter));
    this.status = status;
    this.code = code;
  }
}

function refusalOf(status: number, code: string | null, retryAfter: string | null): ServiceFailure {
  if (code === "context_length_exceeded") {
    const message = "prompt and completion together are longer than the backend's context";
    return { code: "context_length_exceeded", status: 400, message, param: "prompt", retryable: true };
  }
  const told = code === null ? `status ${String(status)}` : `status ${String(status)}, ${code}`;
  if (status === 429 || status === 503 || status === 507) {
    const message = `the backend takes no more requests at present (${told})`;
    return { code: "overloaded", status: 503, message, retryable: true, retryAfterSeconds: secondsOf(retryAfter) };
  }
  return brokenAnswer("engine", `the backend refused the request (${told})`);
}

function secondsOf(header: string | null): number {
  const seconds = header !== null && /^\d{1,4}$/.test(header) ? Number(header) : defaultRetrySeconds;
  return Math.min(Math.max(seconds, 1), longestRetrySeconds);
}
