/** Keys of session files: a passphrase's, for whoever is told it, or a tenant's, which only this service can make. */
import { fromBase64, toBase64 } from "../../../encoding/base64.ts";
import { ServiceError } from "../../../contracts/errors.ts";
import { invalidRequest, snapshotSealed } from "../../failures.ts";
import { stateSecrets } from "../../state-secrets.ts";
import type { SealedBy } from "./header.ts";

export type FileKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** OWASP's figure for PBKDF2 with SHA-256. */
const writtenRounds = 600_000;
const mostRounds = 1_000_000;
/** What workerd computes in one call; more are a chain of calls, each one's output the next one's password. */
const roundsPerCall = 100_000;
const saltBytes = 16;
const keyBits = 256;
const encoder = new TextEncoder();

export async function newPassphraseKey(passphrase: string): Promise<{ readonly key: FileKey; readonly sealed: SealedBy }> {
  const salt = crypto.getRandomValues(new Uint8Array(saltBytes));
  const sealed = { by: "passphrase", kdf: "PBKDF2-SHA-256", rounds: writtenRounds, salt: toBase64(salt) } as const;
  return { key: await passphraseKey(passphrase, sealed), sealed };
}

/** @throws ServiceError where the file asks for something else, or for too much. */
export async function passphraseKey(passphrase: string, sealed: SealedBy): Promise<FileKey> {
  if (sealed.by !== "passphrase") throw refused("The file is sealed under its tenant's key: a passphrase does not open it.");
  const { rounds, salt } = sealed;
  if (rounds < roundsPerCall || rounds > mostRounds) {
    throw refused(
      `The file's passphrase must be stretched in ${String(roundsPerCall)} to ${String(mostRounds)} rounds; it says ${String(rounds)}.`,
    );
  }
  let secret: Uint8Array = encoder.encode(passphrase);
  for (let left = rounds; left > 0; left -= roundsPerCall) {
    const password = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveBits"]);
    const parameters = { name: "PBKDF2", hash: "SHA-256", salt: bytesOf(salt), iterations: Math.min(left, roundsPerCall) };
    secret = new Uint8Array(await crypto.subtle.deriveBits(parameters, password, keyBits));
  }
  return await fileKey(secret);
}

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
  if (sealed.by !== "tenant") throw refused("The file is sealed under a passphrase: send it as 'x-spikingbrain-passphrase'.");
  const entry = stateSecrets({ STATE_KEYS: stateKeys }).find(([version]) => String(version) === sealed.key);
  if (entry === undefined) throw refused("The file is sealed under a key that is not known here.");
  const secret = await crypto.subtle.importKey("raw", entry[1], "HKDF", false, ["deriveBits"]);
  const info = encoder.encode(`spikingbrain session file 1\n${tenant}`);
  const parameters = { name: "HKDF", hash: "SHA-256", salt: bytesOf(sealed.salt), info };
  return await fileKey(new Uint8Array(await crypto.subtle.deriveBits(parameters, secret, keyBits)));
}

function fileKey(secret: Uint8Array): Promise<FileKey> {
  return crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["encrypt", "decrypt"]);
}

function refused(message: string): ServiceError {
  return new ServiceError(snapshotSealed(message));
}

function bytesOf(text: string): Uint8Array {
  try {
    return fromBase64(text);
  } catch {
    throw refused("The file's salt is not base64.");
  }
}
