/** A tenant's keys, derived from the secrets that the Worker is given. */
import { unset } from "../../../settings.ts";
import { stateSecrets } from "../../state-secrets.ts";

const derivationSalt = "spikingbrain state";

export class TenantKeys {
  /** Version that is sealed under. */
  readonly newest: number;
  readonly #tenant: string;
  readonly #secrets: ReadonlyMap<number, Uint8Array<ArrayBuffer>>;
  readonly #sealing = new Map<number, Promise<CryptoKey>>();
  #naming: Promise<CryptoKey> | undefined;

  /** `keys` as in `STATE_KEYS`: `2:BASE64,1:BASE64`, the newest first. @throws ServiceError that names the rule they break, or where there are none. */
  constructor(keys: string | undefined, tenant: string) {
    const secrets = stateSecrets({ STATE_KEYS: keys });
    const [newest] = secrets;
    if (newest === undefined) throw unset("STATE_KEYS", "must be set where states are kept");
    this.newest = newest[0];
    this.#secrets = new Map(secrets);
    this.#tenant = tenant;
  }

  /** Undefined for a version that is no longer among the secrets. */
  sealing(version: number): Promise<CryptoKey> | undefined {
    const secret = this.#secrets.get(version);
    if (secret === undefined) return undefined;
    const key = this.#sealing.get(version) ?? this.#derive(secret, "seal", { name: "AES-GCM", length: 256 }, ["encrypt", "decrypt"]);
    this.#sealing.set(version, key);
    return key;
  }

  naming(): Promise<CryptoKey> {
    const secret = this.#secrets.get(this.newest) ?? new Uint8Array();
    return (this.#naming ??= this.#derive(secret, "name", { name: "HMAC", hash: "SHA-256", length: 256 }, ["sign"]));
  }

  async #derive(
    secret: Uint8Array<ArrayBuffer>,
    purpose: "seal" | "name",
    algorithm: SubtleCryptoImportKeyAlgorithm,
    uses: string[],
  ): Promise<CryptoKey> {
    const text = new TextEncoder();
    const base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
    const parameters = {
      name: "HKDF",
      hash: "SHA-256",
      salt: text.encode(derivationSalt),
      info: text.encode(`${purpose}\n${this.#tenant}`),
    };
    return await crypto.subtle.deriveKey(parameters, base, algorithm, false, uses);
  }
}
