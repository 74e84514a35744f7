/** What the gateway asks of other Workers: the pool for what its models can, the session service for everything else. */
import { unwrap, type Service } from "../contracts/call.ts";
import type { ModelDescription, ModelVersion, Outcome } from "../contracts/engine.ts";
import { ServiceError } from "../contracts/errors.ts";
import { modelUnavailable } from "../models/served-model.ts";
import type { Environment } from "./environment.ts";
import { describeCause, logLine } from "../observe/log-line.ts";

/** The value of a call to the pool. @throws ServiceError that names it where the call breaks. */
export const fromPool = <T>(call: Promise<Outcome<T>>): Promise<T> => unwrap("pool", call, logBroken("pool"));

/** The value of a call to the session service. @throws ServiceError that names it where the call breaks. */
export const fromSession = <T>(call: Promise<Outcome<T>>): Promise<T> => unwrap("session", call, logBroken("session"));

const logBroken = (service: Service) => (cause: unknown) => {
  logLine("error", "service_unreachable", { service, cause: describeCause(cause) });
};

/** Constant while a backend lives, so one answer serves the isolate; an absent answer is asked for again. */
let descriptions: readonly ModelDescription[] | undefined;

/** What the backends say of a model. @throws ServiceError where none is there, or none has it. */
export async function describeModel(environment: Environment, { id, digest }: ModelVersion): Promise<ModelDescription> {
  const same = (one: ModelVersion) => one.id === id && one.digest === digest;
  const known = descriptions?.find(same);
  if (known !== undefined) return known;
  descriptions = structuredClone(await fromPool(environment.POOL.models()));
  const found = descriptions.find(same);
  if (found === undefined) throw new ServiceError(modelUnavailable(id));
  return found;
}

/** For answers that must work while no backend answers; null then. */
export async function availableDescription(environment: Environment, model: ModelVersion): Promise<ModelDescription | null> {
  try {
    return await describeModel(environment, model);
  } catch (cause) {
    if (cause instanceof ServiceError) return null;
    throw cause;
  }
}
