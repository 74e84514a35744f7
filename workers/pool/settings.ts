/** The pool Worker's variables beside the registry's. */
import { milliseconds, rememberedSettings, type Variables } from "../settings.ts";
import { checkRegistry, registryVariables } from "./registry/tell.ts";

const timeVariables = [
  "POOL_REFRESH_SECONDS",
  "POOL_CONNECT_SECONDS",
  "POOL_FIRST_TOKEN_SECONDS",
  "POOL_GAP_SECONDS",
  "POOL_TOTAL_SECONDS",
  "POOL_HEDGE_SECONDS",
  "POOL_QUEUE_SECONDS",
] as const;
type TimeVariable = (typeof timeVariables)[number];
const poolVariables = [...timeVariables, ...registryVariables] as const;
type PoolVariables = Variables<TimeVariable> & Parameters<typeof checkRegistry>[0];

/** All in milliseconds. */
export interface PoolSettings {
  /** Age at which the isolate's copy of the registry is renewed beside a request. */
  readonly refresh: number;
  readonly limits: AttemptLimits;
  readonly hedge: number;
  readonly queue: number;
}

/** How long an attempt at a replica may take, in milliseconds. */
export interface AttemptLimits {
  /** Until it takes the request. */
  readonly connect: number;
  readonly firstToken: number;
  /** Between two tokens. */
  readonly gap: number;
  readonly total: number;
}

/** Every call is checked so before it does anything. @throws ServiceError `configuration_invalid`. */
export const poolSettings = rememberedSettings(poolVariables, (variables: PoolVariables): PoolSettings => {
  checkRegistry(variables);
  const limit = (name: TimeVariable, unset: number) => milliseconds(variables, name, unset, { least: 0.01, most: 86_400 });
  return {
    refresh: milliseconds(variables, "POOL_REFRESH_SECONDS", 1, { least: 0, most: 60 }),
    limits: {
      connect: limit("POOL_CONNECT_SECONDS", 10),
      firstToken: limit("POOL_FIRST_TOKEN_SECONDS", 120),
      gap: limit("POOL_GAP_SECONDS", 10),
      total: limit("POOL_TOTAL_SECONDS", 3_600),
    },
    hedge: limit("POOL_HEDGE_SECONDS", 1),
    queue: milliseconds(variables, "POOL_QUEUE_SECONDS", 10, { least: 0, most: 600 }),
  };
});
