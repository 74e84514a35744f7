/** Which backend serves a request. One today; the pool's plan takes this function's place. */
import type { GenerationBackend, ModelDescription, Outcome } from "../contracts/engine.ts";
import { ServiceError } from "../contracts/errors.ts";
import { release } from "../contracts/release.ts";
import type { Environment } from "./environment.ts";
import { describeCause, logLine } from "../observe/log-line.ts";

export function chooseBackend(environment: Environment): GenerationBackend {
  return environment.ENGINE;
}

/** The value of a call that may be refused or break; a call that breaks is a backend that is not there. */
export async function unwrap<T>(call: Promise<Outcome<T>>): Promise<T> {
  const outcome = await reached(call);
  try {
    if (!outcome.ok) throw new ServiceError(outcome.failure);
    return outcome.value;
  } finally {
    release(outcome);
  }
}

async function reached<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (cause) {
    logLine("error", "backend_unreachable", { cause: describeCause(cause) });
    throw new ServiceError(
      { code: "engine_unavailable", status: 503, message: "The engine cannot be reached.", retryable: true, retryAfterSeconds: 1 },
      { cause },
    );
  }
}

/** Constant while a backend lives, so one answer serves the isolate; an absent answer is asked for again. */
let description: ModelDescription | undefined;

export async function describeBackend(backend: GenerationBackend): Promise<ModelDescription> {
  description ??= { ...(await unwrap(backend.describe())) };
  return description;
}

/** For answers that must work while the engine is away; null then. */
export async function availableDescription(environment: Environment): Promise<ModelDescription | null> {
  try {
    return await describeBackend(chooseBackend(environment));
  } catch (cause) {
    if (cause instanceof ServiceError) return null;
    throw cause;
  }
}
