/** Keys of session files under a tenant's key, which only this service can make. */
import { toBase64 } from "../../../encoding/base64.ts";
import { ServiceError } from "../../../contracts/errors.ts";
import { fileSealed } from "../../../session-file/failures.ts";
import type { SealedBy } from "../../../session-file/header.ts";
import { fileKey, keyBits, saltBytes, saltOf, type FileKey } from "../../../session-file/passphrase-key.ts";
import { invalidRequest } from "../../failures.ts";
import { stateSecrets } from "../../state-secrets.ts";

const encoder = new TextEncoder();

/** @throws ServiceError where the server has no keys. */
export async function newTenantKey(
  stateKeys: string | undefined,
  tenant: string,
): Promise<{ readonly key: FileKey; readonly sealed: SealedBy }> {
  const [newest] = stateSecrets({ STATE_KEYS: stateKeys });
  if (newest === undefined)
    throw new ServiceError(invalidRequest("This server has no keys to seal files under: name a passphrase.", "passphrase"));
  const sealed = { by: "tenant", key: String(newest[0]), salt: toBase64(crypto.getRandomValues(new Uint8Array(saltBytes))) } as const;
  return { key: await tenantKey(stateKeys, tenant, sealed), sealed };
}

export async function tenantKey(stateKeys: string | undefined, tenant: string, sealed: SealedBy): Promise<FileKey> {
  if (sealed.by !== "tenant") throw fileSealed("The file is sealed under a passphrase: send it as 'x-spikingbrain-passphrase'.");
  const entry = stateSecrets({ STATE_KEYS: stateKeys }).find(([version]) => String(version) === sealed.key);
  if (entry === undefined) throw fileSealed("The file is sealed under a key that is not known here.");
  const secret = await crypto.subtle.importKey("raw", entry[1], "HKDF", false, ["deriveBits"]);
  const info = encoder.encode(`spikingbrain session file 1\n${tenant}`);
  const parameters = { name: "HKDF", hash: "SHA-256", salt: saltOf(sealed.salt), info };
  return await fileKey(new Uint8Array(await crypto.subtle.deriveBits(parameters, secret, keyBits)));
}
