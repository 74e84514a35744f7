/** The gateway's variables. */
import { list, milliseconds, type Variables } from "../settings.ts";

export interface GatewaySettings {
  /** None leaves the API open. */
  readonly apiKeys: readonly string[];
  readonly adminKeys: readonly string[];
  /** Origins, beside the web page's own, that browsers may call `/v1` from. */
  readonly corsOrigins: readonly string[];
  readonly keepAliveMilliseconds: number;
}

/** @throws ServiceError `configuration_invalid`. */
export function gatewaySettings(variables: Variables<"API_KEYS" | "ADMIN_KEYS" | "CORS_ORIGINS" | "KEEP_ALIVE_SECONDS">): GatewaySettings {
  return {
    apiKeys: apiKeys(variables),
    adminKeys: keys(variables, "ADMIN_KEYS"),
    corsOrigins: list(variables, "CORS_ORIGINS", {
      each: "origins, each SCHEME://HOST or SCHEME://HOST:PORT in small letters without a path",
      pattern: /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@A-Z]+$/,
    }),
    keepAliveMilliseconds: milliseconds(variables, "KEEP_ALIVE_SECONDS", 15, { least: 0.01, most: 3_600 }),
  };
}

/** @throws ServiceError `configuration_invalid`: keys that were meant to close the API never leave it open. */
export function apiKeys(variables: Variables<"API_KEYS">): readonly string[] {
  return keys(variables, "API_KEYS");
}

function keys<Name extends string>(variables: Variables<Name>, name: Name): readonly string[] {
  return list(variables, name, {
    each: "keys, each of at least one character and without white space",
    pattern: /^\S+$/,
    secret: true,
  });
}
