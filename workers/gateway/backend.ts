/** What the gateway asks of other Workers: the pool for what its models can, the session service for everything else. */
import { unwrap, type Service } from "../contracts/call.ts";
import type { ModelVersion } from "../contracts/model-version.ts";
import type { Outcome } from "../contracts/outcome.ts";
import type { TenantId } from "../contracts/tenant.ts";
import type { ModelDescription } from "../contracts/engine.ts";
import { ServiceError } from "../contracts/errors.ts";
import { release } from "../contracts/release.ts";
import type { ModelCard } from "../contracts/model-files.ts";
import { modelUnavailable } from "../models/failures.ts";
import { newest, same, whyUnavailable } from "../models/version.ts";
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
/** Until then whoever finds it no longer fresh goes by it and asks anew beside its own work, so that where requests come one after another none waits. */
const renewedMilliseconds = 4_000;
/** While one request asks anew, the others go by what is known for so long, unless it is of long ago. */
const askingMilliseconds = 1_000;
const staleMilliseconds = 10_000;
let askingSince = Number.NEGATIVE_INFINITY;
let known: { readonly at: number; readonly descriptions: readonly ModelDescription[] } | undefined;

/** What backends say of the models that they have. @throws ServiceError where the pool is away. */
export async function askDescriptions(environment: Environment): Promise<readonly ModelDescription[]> {
  const descriptions = structuredClone(await fromPool(environment.POOL.models()));
  known = { at: Date.now(), descriptions };
  return descriptions;
}

/**
 * What a backend says of a model, in the version that new work begins with. @throws ServiceError where none is there, or none has it.
 * @param of finds it among several versions.
 */
export async function describeModel(environment: Environment, card: ModelCard, of = newest): Promise<ModelDescription> {
  const now = Date.now();
  const age = known === undefined ? Number.POSITIVE_INFINITY : Math.abs(now - known.at);
  const isAsked = Math.abs(now - askingSince) < askingMilliseconds;
  const isNear = age < renewedMilliseconds || (age < staleMilliseconds && isAsked);
  const found = isNear && known !== undefined ? of(card, known.descriptions) : undefined;
  if (found !== undefined) {
    if (age >= freshMilliseconds && !isAsked) {
      askingSince = now;
      // A request that ends before the answer takes the call with it; a later one asks again. One that is told of a failure waits for its own answer.
      askDescriptions(environment).catch(() => undefined);
    }
    return found;
  }
  askingSince = now;
  const descriptions = await askDescriptions(environment);
  const asked = of(card, descriptions);
  if (asked === undefined) throw new ServiceError(modelUnavailable(card.id, whyUnavailable(card, descriptions)));
  return asked;
}

/** As {@link describeModel}, for a turn of a session: in the version that the session was made with, as long as a backend has it. */
export async function describeForSession(
  environment: Environment,
  card: ModelCard,
  version: () => Promise<ModelVersion | null>,
): Promise<ModelDescription> {
  const description = await describeModel(environment, card);
  const versions = known?.descriptions.filter(({ id }) => id === card.id) ?? [];
  // Where there is one, the session has that one, or one that nobody has now, which the session says.
  if (card.sha256 !== null || versions.length < 2) return description;
  const bound = await version();
  return (bound === null ? undefined : versions.find((one) => same(one, bound))) ?? description;
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

/** Null where there is no such session, which whoever begins its turn says. */
export async function versionOfSession(environment: Environment, tenant: TenantId, session: string): Promise<ModelVersion | null> {
  const outcome = await environment.SESSION.session(tenant, session).catch(() => null);
  if (outcome === null) return null;
  const version = outcome.ok ? { ...outcome.value.version } : null;
  release(outcome);
  return version;
}
