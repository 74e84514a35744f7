/**
 * The keys that ids are signed with, derived from `STATE_KEYS`: the newest signs, any of them is believed. Without secrets the key is a public
 * one, which is enough for a machine of one's own, but a stranger can make ids then.
 */
import { toHex } from "../../encoding/hex.ts";
import type { SessionEnvironment } from "../environment.ts";
import { stateSecrets } from "../state-secrets.ts";

export type IdKeys = Pick<SessionEnvironment, "STATE_KEYS">;

const derivationSalt = "spikingbrain id 1";
const publicSecret = new Uint8Array(32);

/** Of one isolate: its secrets never change while it lives, except in tests. */
const derived = new Map<string, Promise<readonly CryptoKey[]>>();

/** Of each key, the newest first; hexadecimal. @throws ServiceError where the secrets break their rule. */
export async function signaturesOf({ STATE_KEYS }: IdKeys, text: string): Promise<readonly string[]> {
  const keys = await keysOf(STATE_KEYS ?? "");
  const bytes = new TextEncoder().encode(text);
  return await Promise.all(keys.map(async (key) => toHex(new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes)))));
}

async function keysOf(secrets: string): Promise<readonly CryptoKey[]> {
  const known = derived.get(secrets);
  if (known !== undefined) return await known;
  const parsed = stateSecrets({ STATE_KEYS: secrets }).map(([, secret]) => secret);
  const keys = Promise.all((parsed.length === 0 ? [publicSecret] : parsed).map(derive));
  derived.set(secrets, keys);
  return await keys;
}

async function derive(secret: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
  const salt = new TextEncoder().encode(derivationSalt);
  const parameters = { name: "HKDF", hash: "SHA-256", salt, info: new Uint8Array() };
  return await crypto.subtle.deriveKey(parameters, base, { name: "HMAC", hash: "SHA-256", length: 256 }, false, ["sign"]);
}
