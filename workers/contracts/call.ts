/** Calls between Workers: their values, or the failure that says which service refused or was not there. */
import type { Outcome } from "./engine.ts";
import { ServiceError, type ServiceFailure } from "./errors.ts";
import { release } from "./release.ts";

export type Service = "engine" | "session";

/** A service that did not answer; another try may reach it. */
export function unreachable(service: Service): ServiceFailure {
  const code = service === "engine" ? "engine_unavailable" : "session_unavailable";
  const what = service === "engine" ? "engine" : "session service";
  return { code, status: 503, message: `The ${what} cannot be reached.`, retryable: true, retryAfterSeconds: 1 };
}

/**
 * The value of a call, whose RPC result is released. `onBroken` hears why a call broke, which the error tells no client.
 * @throws ServiceError with the service's own failure where it refused, and with {@link unreachable} where the call broke.
 */
export async function unwrap<T>(service: Service, call: Promise<Outcome<T>>, onBroken: (cause: unknown) => void): Promise<T> {
  const outcome = await call.catch((cause: unknown) => {
    onBroken(cause);
    throw new ServiceError(unreachable(service), { cause });
  });
  try {
    if (!outcome.ok) throw new ServiceError(outcome.failure);
    return outcome.value;
  } finally {
    release(outcome);
  }
}
