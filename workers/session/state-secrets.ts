/** `STATE_KEYS`: the secrets that keys of states and of ids are derived from. */
import { fromBase64 } from "../encoding/base64.ts";
import { list, misconfigured, type Variables } from "../settings.ts";

/** `secret` has 32 bytes. */
export type StateSecret = readonly [version: number, secret: Uint8Array<ArrayBuffer>];

/** The newest first; none where it is unset. @throws ServiceError `configuration_invalid`, which tells no secret. */
export function stateSecrets(variables: Variables<"STATE_KEYS">): readonly StateSecret[] {
  const parts = list(variables, "STATE_KEYS", {
    each: "keys, each VERSION:BASE64 of 32 bytes, the version from 1",
    pattern: /^[1-9]\d{0,8}:[A-Za-z0-9+/]{43}=$/,
    secret: true,
  });
  const secrets = parts.map((part): StateSecret => {
    const colon = part.indexOf(":");
    return [Number(part.slice(0, colon)), fromBase64(part.slice(colon + 1))];
  });
  if (new Set(secrets.map(([version]) => version)).size === secrets.length) return secrets;
  throw misconfigured("STATE_KEYS", "must have each version once");
}
