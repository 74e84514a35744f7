/** The gateway's variables, as `npm start` takes them from its own environment. */
import { gatewaySettings } from "../../workers/gateway/settings.ts";

const variableNames = ["API_KEYS", "ADMIN_KEYS", "CORS_ORIGINS", "KEEP_ALIVE_SECONDS", "MODEL_ALIASES", "MODEL_FALLBACKS"] as const;

export interface GatewayVariables {
  readonly variables: Readonly<Record<string, string>>;
  /** True where any key is accepted. */
  readonly isOpen: boolean;
}

/** @throws ServiceError that names the variable, as the gateway itself would. */
export function gatewayVariables(environment: Readonly<Record<string, string | undefined>>): GatewayVariables {
  const { apiKeys } = gatewaySettings(environment);
  const set = variableNames.flatMap((name) =>
    environment[name] === undefined || environment[name] === "" ? [] : [[name, environment[name]] as const],
  );
  return { variables: Object.fromEntries(set), isOpen: apiKeys.length === 0 };
}
