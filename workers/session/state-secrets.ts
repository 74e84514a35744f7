/** `STATE_KEYS`: the secrets that keys of states and of ids are derived from. */
import { ServiceError, type ServiceFailure } from "../contracts/errors.ts";
import { fromBase64 } from "../encoding/base64.ts";

const SECRET = /^([1-9]\d{0,8}):([A-Za-z0-9+/]{43}=)$/;

type Secret = readonly [version: number, secret: Uint8Array<ArrayBuffer>];

/** Those of `STATE_KEYS`, the newest first. @throws ServiceError that names the rule they break. */
export function stateSecrets(secrets: string | undefined): readonly [Secret, ...Secret[]] {
  if (secrets === undefined || secrets === "")
    throw new ServiceError(misconfigured("STATE_KEYS: state keys are not set, so nothing is kept"));
  const parsed = secrets.split(",").map((part): Secret => {
    const [, version, base64] = SECRET.exec(part.trim()) ?? [];
    if (version === undefined || base64 === undefined)
      throw new ServiceError(misconfigured("STATE_KEYS: each must be VERSION:BASE64 of 32 bytes, the version from 1; one is not"));
    return [Number(version), fromBase64(base64)];
  });
  if (new Set(parsed.map(([version]) => version)).size !== parsed.length)
    throw new ServiceError(misconfigured("STATE_KEYS: each version must be there once; one is there twice"));
  const [first, ...rest] = parsed;
  if (first === undefined) throw new ServiceError(misconfigured("STATE_KEYS: state keys are not set, so nothing is kept"));
  return [first, ...rest];
}

const misconfigured = (message: string): ServiceFailure => ({ code: "internal_error", status: 500, message, retryable: false });
