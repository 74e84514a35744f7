/** The gateway's variables. */
import { list, milliseconds, rememberedSettings, type Variables } from "../settings.ts";

export interface GatewaySettings {
  /** None leaves the API open. */
  readonly apiKeys: readonly string[];
  readonly adminKeys: readonly string[];
  /** Origins, beside the web page's own, that browsers may call `/v1` from. */
  readonly corsOrigins: readonly string[];
  readonly keepAliveMilliseconds: number;
  /** Names under which models answer too. */
  readonly modelAliases: readonly ModelPair[];
  /** Models that answer where another can't, in the order they are tried, for requests that say nothing of it. */
  readonly modelFallbacks: readonly ModelPair[];
}

export interface ModelPair {
  readonly from: string;
  /** A model's id. */
  readonly to: string;
}

const gatewayVariables = ["API_KEYS", "ADMIN_KEYS", "CORS_ORIGINS", "KEEP_ALIVE_SECONDS", "MODEL_ALIASES", "MODEL_FALLBACKS"] as const;
export type GatewayVariableName = (typeof gatewayVariables)[number];

/** @throws ServiceError `configuration_invalid`. */
export const gatewaySettings = rememberedSettings(gatewayVariables, (variables: Variables<GatewayVariableName>): GatewaySettings => {
  return {
    apiKeys: apiKeys(variables),
    adminKeys: keys(variables, "ADMIN_KEYS"),
    corsOrigins: list(variables, "CORS_ORIGINS", {
      each: "origins, each SCHEME://HOST or SCHEME://HOST:PORT in small letters without a path",
      pattern: /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@A-Z]+$/,
    }),
    keepAliveMilliseconds: milliseconds(variables, "KEEP_ALIVE_SECONDS", 15, { least: 0.01, most: 3_600 }),
    modelAliases: modelPairs(variables, "MODEL_ALIASES", "NAME:MODEL, a name of your choice and a model's id"),
    modelFallbacks: modelPairs(variables, "MODEL_FALLBACKS", "MODEL:OTHER, two models' ids"),
  };
});

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

function modelPairs<Name extends string>(variables: Variables<Name>, name: Name, each: string): readonly ModelPair[] {
  const pairs = list(variables, name, { each: `pairs, each ${each}`, pattern: /^[\w./-]{1,200}:[\w.:/-]{1,200}$/ });
  return pairs.map((pair) => {
    const colon = pair.indexOf(":");
    return { from: pair.slice(0, colon), to: pair.slice(colon + 1) };
  });
}
