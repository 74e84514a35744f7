/** Failures of registering. None of them holds a value of a header or of the body that could be a secret. */
import { ServiceError, type FailureCode, type ServiceFailure } from "../../contracts/errors.ts";

const failure = (code: FailureCode, status: number, message: string, more: Partial<ServiceFailure> = {}): ServiceFailure => ({
  code,
  status,
  message,
  retryable: false,
  ...more,
});

export const headerInvalid = (name: string, rule: string, isMissing: boolean) =>
  new ServiceError(
    failure("invalid_node_credential", 401, `'${name}': must be ${rule}${isMissing ? "; it is missing" : ""}.`, { param: name }),
  );

/** One for everything that a stranger could try. */
export const signatureWrong = () =>
  new ServiceError(
    failure(
      "invalid_node_credential",
      401,
      "'x-spikingbrain-signature': must be this request's, by the secret of a node that this deployment knows.",
      { param: "x-spikingbrain-signature" },
    ),
  );

export const messageTooLate = (windowSeconds: number, sent: number, now: number) =>
  new ServiceError(
    failure(
      "invalid_node_credential",
      401,
      `'x-spikingbrain-timestamp': must be within ${String(windowSeconds)} seconds of this server's clock, which is at ${String(now)}; it is ${String(sent)}.`,
      { param: "x-spikingbrain-timestamp" },
    ),
  );

export const messageTooLarge = (limitBytes: number, bytes: number) =>
  new ServiceError(
    failure("payload_too_large", 413, `The request body may have at most ${String(limitBytes)} bytes; it has ${String(bytes)}.`),
  );

export const bodyInvalid = (message: string, param?: string) =>
  new ServiceError(failure("invalid_request", 400, message, param === undefined ? {} : { param }));

export const fieldUnknown = (param: string) => new ServiceError(failure("unknown_field", 400, `Unknown field: '${param}'.`, { param }));

export const messageRepeated = (): ServiceFailure =>
  failure("invalid_node_credential", 401, "'x-spikingbrain-nonce': must be new with every message; this one was used.", {
    param: "x-spikingbrain-nonce",
  });

export const messageOld = (): ServiceFailure =>
  failure(
    "conflict",
    409,
    "'sequence': must rise with every message of a replica, and 'started' with every start; a later message was taken.",
    {
      param: "sequence",
    },
  );

/** `seconds` until the name is free if its owner says no more. */
export const nameTaken = (name: string, seconds: number): ServiceFailure =>
  failure("conflict", 409, `'name': must not be another node's replica; ${JSON.stringify(name)} is.`, {
    param: "name",
    retryable: true,
    retryAfterSeconds: seconds,
  });

export const tooManyMessages = (node: string, most: number, seconds: number): ServiceFailure =>
  failure(
    "overloaded",
    429,
    `The node ${JSON.stringify(node)} has sent ${String(most)} messages within ${String(seconds)} seconds, which is the most.`,
    {
      retryable: true,
      retryAfterSeconds: seconds,
    },
  );

export const tooManyReplicas = (whose: string, most: number): ServiceFailure =>
  failure("quota_exceeded", 429, `${whose} may have at most ${String(most)} replicas, and has them.`, {
    retryable: true,
    retryAfterSeconds: 30,
  });
