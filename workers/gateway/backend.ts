/** Which backend serves a request. One today; the pool's plan takes this function's place. */
import type { GenerationBackend, ModelDescription, ModelVersion, Outcome } from "../contracts/engine.ts";
import { ServiceError } from "../contracts/errors.ts";
import { release } from "../contracts/release.ts";
import { modelUnavailable } from "../models/served-model.ts";
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
let descriptions: readonly ModelDescription[] | undefined;

/** What the backends say of a model. @throws ServiceError where none is there, or none has it. */
export async function describeModel(environment: Environment, { id, digest }: ModelVersion): Promise<ModelDescription> {
  const same = (one: ModelVersion) => one.id === id && one.digest === digest;
  const known = descriptions?.find(same);
  if (known !== undefined) return known;
  descriptions = structuredClone(await unwrap(chooseBackend(environment).models()));
  const found = descriptions.find(same);
  if (found === undefined) throw new ServiceError(modelUnavailable(id));
  return found;
}

/** For answers that must work while the engine is away; null then. */
export async function availableDescription(environment: Environment, model: ModelVersion): Promise<ModelDescription | null> {
  try {
    return await describeModel(environment, model);
  } catch (cause) {
    if (cause instanceof ServiceError) return null;
    throw cause;
  }
}
