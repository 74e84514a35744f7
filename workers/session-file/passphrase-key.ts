/** Keys of session files under a passphrase, for whoever is told it. */
import { fromBase64, toBase64 } from "../encoding/base64.ts";
import { fileSealed } from "./failures.ts";
import type { SealedBy } from "./header.ts";

export type FileKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** OWASP's figure for PBKDF2 with SHA-256. */
const writtenRounds = 600_000;
const mostRounds = 1_000_000;
/** What workerd computes in one call; more are a chain of calls, each one's output the next one's password. */
const roundsPerCall = 100_000;
export const saltBytes = 16;
export const keyBits = 256;
const encoder = new TextEncoder();

export async function newPassphraseKey(passphrase: string): Promise<{ readonly key: FileKey; readonly sealed: SealedBy }> {
  const salt = crypto.getRandomValues(new Uint8Array(saltBytes));
  const sealed = { by: "passphrase", kdf: "PBKDF2-SHA-256", rounds: writtenRounds, salt: toBase64(salt) } as const;
  return { key: await passphraseKey(passphrase, sealed), sealed };
}

/** @throws ServiceError where the file asks for something else, or for too much. */
export async function passphraseKey(passphrase: string, sealed: SealedBy): Promise<FileKey> {
  if (sealed.by !== "passphrase") throw fileSealed("The file is sealed under its tenant's key: a passphrase does not open it.");
  const { rounds, salt } = sealed;
  if (rounds < roundsPerCall || rounds > mostRounds) {
    throw fileSealed(
      `The file's passphrase must be stretched in ${String(roundsPerCall)} to ${String(mostRounds)} rounds; it says ${String(rounds)}.`,
    );
  }
  let secret: Uint8Array = encoder.encode(passphrase);
  for (let left = rounds; left > 0; left -= roundsPerCall) {
    const password = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveBits"]);
    const parameters = { name: "PBKDF2", hash: "SHA-256", salt: saltOf(salt), iterations: Math.min(left, roundsPerCall) };
    secret = new Uint8Array(await crypto.subtle.deriveBits(parameters, password, keyBits));
  }
  return await fileKey(secret);
}

/** `secret` has 32 bytes. */
export function fileKey(secret: Uint8Array): Promise<FileKey> {
  return crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** @throws ServiceError `snapshot_sealed` */
export function saltOf(text: string): Uint8Array {
  try {
    return fromBase64(text);
  } catch {
    throw fileSealed("The file's salt is not base64.");
  }
}
