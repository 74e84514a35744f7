/** Calls between Workers: their values, or the failure that says which service refused or was not there. */
import type { Outcome } from "./outcome.ts";
import { ServiceError, type ServiceFailure } from "./errors.ts";
import { release } from "./release.ts";

const services = {
  engine: { code: "engine_unavailable", name: "engine" },
  pool: { code: "pool_unavailable", name: "pool of backends" },
  grammar: { code: "engine_unavailable", name: "grammar service" },
  session: { code: "session_unavailable", name: "session service" },
  assets: { code: "assets_unavailable", name: "store of model files" },
} as const;

export type Service = keyof typeof services;

/** A service that did not answer; another try may reach it. */
export function unreachable(service: Service): ServiceFailure {
  const { code, name } = services[service];
  return { code, status: 503, message: `The ${name} cannot be reached.`, retryable: true, retryAfterSeconds: 1 };
}

/** A service whose answer began and is cut off or can't be read; `message` says which. */
export function brokenAnswer(service: Service, message: string): ServiceFailure {
  return { code: services[service].code, status: 502, message, retryable: true };
}

/** A mistake of this project's code, which no other try helps against for certain. */
export const internalFailure: ServiceFailure = {
  code: "internal_error",
  status: 500,
  message: "The server had an error while processing the request.",
  retryable: true,
};

/** Whether it is of a kind that mistakes in code make, here or on the other side of a call. */
export function isMistake(cause: unknown): boolean {
  return [TypeError, RangeError, ReferenceError, SyntaxError].some((kind) => cause instanceof kind);
}

/** What a call broke with, for clients: what is no mistake is of the way there. */
export function brokenCall(service: Service, cause: unknown): ServiceError {
  return new ServiceError(isMistake(cause) ? internalFailure : unreachable(service), { cause });
}

/**
 * The value of a call, whose RPC result is released. `onBroken` hears why a call broke, which the error tells no client.
 * @throws ServiceError with the service's own failure where it refused, and with {@link brokenCall}'s where the call broke.
 */
export async function unwrap<T>(service: Service, call: Promise<Outcome<T>>, onBroken: (cause: unknown) => void): Promise<T> {
  const outcome = await call.catch((cause: unknown) => {
    // Whoever called for it has said already what it means.
    if (cause instanceof ServiceError) throw cause;
    onBroken(cause);
    throw brokenCall(service, cause);
  });
  try {
    if (!outcome.ok) throw new ServiceError(outcome.failure);
    return outcome.value;
  } finally {
    release(outcome);
  }
}
