/** What the gateway asks of other Workers: the pool for what its models can, the session service for everything else. */
import { unwrap, type Service } from "../contracts/call.ts";
import type { ModelDescription, Outcome } from "../contracts/engine.ts";
import { ServiceError } from "../contracts/errors.ts";
import type { ModelCard } from "../contracts/model-files.ts";
import { modelUnavailable } from "../models/failures.ts";
import { newest, whyUnavailable } from "../models/version.ts";
import type { Environment } from "./environment.ts";
import { describeCause, logLine } from "../observe/log-line.ts";

/** The value of a call to the pool. @throws ServiceError that names it where the call breaks. */
export const fromPool = <T>(call: Promise<Outcome<T>>): Promise<T> => unwrap("pool", call, logBroken("pool"));

/** The value of a call to the session service. @throws ServiceError that names it where the call breaks. */
export const fromSession = <T>(call: Promise<Outcome<T>>): Promise<T> => unwrap("session", call, logBroken("session"));

const logBroken = (service: Service) => (cause: unknown) => {
  logLine("error", "service_unreachable", { service, cause: describeCause(cause) });
};

/** Replicas come and go, and with them versions of models; a request that finds its own gone is refused by the plan. */
const freshMilliseconds = 2_000;
let known: { readonly at: number; readonly descriptions: readonly ModelDescription[] } | undefined;

/** What a backend says of a model, in the version that new work begins with. @throws ServiceError where none is there, or none has it. */
export async function describeModel(environment: Environment, card: ModelCard): Promise<ModelDescription> {
  const isFresh = known !== undefined && Date.now() - known.at < freshMilliseconds;
  const found = isFresh && known !== undefined ? newest(card, known.descriptions) : undefined;
  if (found !== undefined) return found;
  const descriptions = structuredClone(await fromPool(environment.POOL.models()));
  known = { at: Date.now(), descriptions };
  const asked = newest(card, descriptions);
  if (asked === undefined) throw new ServiceError(modelUnavailable(card.id, whyUnavailable(card, descriptions)));
  return asked;
}

/** For answers that must work while no backend answers; null then. */
export async function availableDescription(environment: Environment, card: ModelCard): Promise<ModelDescription | null> {
  try {
    return await describeModel(environment, card);
  } catch (cause) {
    if (cause instanceof ServiceError) return null;
    throw cause;
  }
}
