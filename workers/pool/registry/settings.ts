/** Variables of the registry. */
import { misconfigured, wholeNumber, type Variables } from "../../settings.ts";

export interface RegistrySettings {
  readonly heartbeatSeconds: number;
  readonly expirySeconds: number;
}

/** @throws ServiceError `configuration_invalid`. */
export function registrySettings(variables: Variables<"POOL_HEARTBEAT_SECONDS" | "POOL_EXPIRY_SECONDS">): RegistrySettings {
  const heartbeatSeconds = wholeNumber(variables, "POOL_HEARTBEAT_SECONDS", "seconds", 5, { least: 1, most: 60 });
  const expirySeconds = wholeNumber(variables, "POOL_EXPIRY_SECONDS", "seconds", 20, { least: 2, most: 600 });
  // One message that is lost on its way takes no replica out of the pool.
  if (expirySeconds >= 2 * heartbeatSeconds) return { heartbeatSeconds, expirySeconds };
  throw misconfigured("POOL_EXPIRY_SECONDS", "must be at least twice POOL_HEARTBEAT_SECONDS", String(expirySeconds));
}
