/** The session Worker's variables. */
import { recurrentTypes, type RecurrentType } from "../contracts/engine.ts";
import { milliseconds, oneOf, rememberedSettings, wholeNumber, type Variables } from "../settings.ts";
import { stateSecrets } from "./state-secrets.ts";

const daySeconds = 86_400;
const yearSeconds = 365 * daySeconds;
/** The longest that an operator may have streams kept after their end. */
export const longestStreamMilliseconds = 1000 * yearSeconds;

const sessionVariables = [
  "STREAM_GRACE_SECONDS",
  "STREAM_KEEP_SECONDS",
  "TENANT_QUOTA_BYTES",
  "STATE_HOT_SECONDS",
  "STATE_CACHE_SECONDS",
  "STATE_RECURRENT",
  "STATE_KEYS",
] as const;
type SessionVariables = Variables<(typeof sessionVariables)[number]>;

/** Every call is checked so before it does anything. @throws ServiceError `configuration_invalid`. */
export const checkSettings = rememberedSettings(sessionVariables, (variables: SessionVariables): void => {
  streamSettings(variables);
  storeSettings(variables);
  stateRecurrent(variables);
  stateSecrets(variables);
});

export interface StreamSettings {
  /** How long a stateless answer goes on after its client has gone. */
  readonly graceMilliseconds: number;
  /** How long a stream can be read again after its end. */
  readonly keepMilliseconds: number;
}

/** @throws ServiceError `configuration_invalid`. */
export function streamSettings(variables: Variables<"STREAM_GRACE_SECONDS" | "STREAM_KEEP_SECONDS">): StreamSettings {
  return {
    graceMilliseconds: milliseconds(variables, "STREAM_GRACE_SECONDS", 10, { least: 0, most: daySeconds }),
    keepMilliseconds: milliseconds(variables, "STREAM_KEEP_SECONDS", 600, { least: 0, most: yearSeconds }),
  };
}

export interface StoreSettings {
  /** Most bytes of all that a tenant keeps: snapshots in all tiers, sessions, contexts, shares and streams. */
  readonly quotaBytes: number;
  /** How long a state which is kept stays in its tenant's object after its last use, before it goes to R2. */
  readonly hotMilliseconds: number;
  /** How long a state which nobody keeps can be found after its last use. */
  readonly cacheMilliseconds: number;
}

/** @throws ServiceError `configuration_invalid`. */
export function storeSettings(variables: Variables<"TENANT_QUOTA_BYTES" | "STATE_HOT_SECONDS" | "STATE_CACHE_SECONDS">): StoreSettings {
  const range = { least: 0.001, most: yearSeconds };
  return {
    quotaBytes: wholeNumber(variables, "TENANT_QUOTA_BYTES", "bytes", 2 ** 30, { least: 1, most: 2 ** 43 }),
    hotMilliseconds: milliseconds(variables, "STATE_HOT_SECONDS", 3_600, range),
    cacheMilliseconds: milliseconds(variables, "STATE_CACHE_SECONDS", daySeconds, range),
  };
}

/** How states hold their recurrent part: `f32` is exact. @throws ServiceError `configuration_invalid`. */
export function stateRecurrent(variables: Variables<"STATE_RECURRENT">): RecurrentType {
  return oneOf(variables, "STATE_RECURRENT", recurrentTypes) ?? "f32";
}
