/**
 * Chunks of states as they lie in stores: encrypted and bound to what they are. A sealed chunk is the key's version (u32), a random nonce of 12
 * bytes, and AES-256-GCM's output.
 *
 * States are not compressed. Deflate takes 9.5 % off the built-in model's int8 rows and 7.5 % off its f32 sums (states of 300 and 1,000 tokens
 * of English), for about 35 ms of CPU a megabyte: too little for what it costs every turn.
 */
import type { ModelIdentity } from "../contract.ts";
import type { TenantKeys } from "./tenant-keys.ts";

const sealFormat = "spikingbrain sealed piece 1";
const versionBytes = 4;
const nonceBytes = 12;
const tagBytes = 16;
/** What sealing adds to a chunk. */
const sealBytes = versionBytes + nonceBytes + tagBytes;
/** Most bytes of one chunk before it is sealed: a row or a message of 1 MiB holds it afterwards. */
export const chunkBytes = (1 << 20) - sealBytes;

/** What a chunk belongs to; one that is opened as anything else does not open. */
export interface ChunkContext {
  readonly kind: "head" | "page" | "proof" | "file";
  readonly name: string;
  readonly identity: ModelIdentity;
  /** Which tokens it tells of. */
  readonly tokens: string;
  readonly number: number;
  readonly count: number;
}

/** A chunk that is not valid: changed, cut, moved, or sealed under a key that is gone. */
export class SealBroken extends Error {}

/** A head or page of which that is so. */
export class BlobBroken extends SealBroken {
  readonly blob: number;

  constructor(blob: number, { message }: SealBroken) {
    super(message);
    this.blob = blob;
  }
}

export class Sealer {
  readonly #keys: TenantKeys;
  readonly #tenant: string;

  constructor(keys: TenantKeys, tenant: string) {
    this.#keys = keys;
    this.#tenant = tenant;
  }

  async seal(plain: Uint8Array, context: ChunkContext): Promise<Uint8Array<ArrayBuffer>> {
    const version = this.#keys.newest;
    const key = await this.#keys.sealing(version);
    if (key === undefined) throw new SealBroken(`key version ${String(version)} is not set`);
    const nonce = crypto.getRandomValues(new Uint8Array(nonceBytes));
    const sealed = new Uint8Array(await crypto.subtle.encrypt(this.#algorithm(nonce, version, context), key, plain));
    const chunk = new Uint8Array(sealBytes + plain.length);
    new DataView(chunk.buffer).setUint32(0, version, true);
    chunk.set(nonce, versionBytes);
    chunk.set(sealed, versionBytes + nonceBytes);
    return chunk;
  }

  /** @throws SealBroken */
  async open(chunk: Uint8Array, context: ChunkContext): Promise<Uint8Array<ArrayBuffer>> {
    if (chunk.length < sealBytes)
      throw new SealBroken(`a chunk must have at least ${String(sealBytes)} bytes; it has ${String(chunk.length)}`);
    const version = new DataView(chunk.buffer, chunk.byteOffset).getUint32(0, true);
    const key = await this.#keys.sealing(version);
    if (key === undefined) throw new SealBroken(`key version ${String(version)} is not set`);
    const nonce = chunk.slice(versionBytes, versionBytes + nonceBytes);
    try {
      const sealed = chunk.subarray(versionBytes + nonceBytes);
      return new Uint8Array(await crypto.subtle.decrypt(this.#algorithm(nonce, version, context), key, sealed));
    } catch (cause) {
      const { kind, number, count } = context;
      throw new SealBroken(`chunk ${String(number + 1)} of ${String(count)} of a ${kind} is not valid`, { cause });
    }
  }

  #algorithm(iv: Uint8Array<ArrayBuffer>, version: number, { kind, name, identity, tokens, number, count }: ChunkContext) {
    const facts = [sealFormat, version, this.#tenant, kind, name, identity.model, identity.tokenizer, tokens, number, count];
    return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(JSON.stringify(facts)), tagLength: 8 * tagBytes };
  }
}

export const chunkCount = (plainBytes: number) => Math.max(1, Math.ceil(plainBytes / chunkBytes));

export const sealedBytes = (plainBytes: number) => plainBytes + sealBytes * chunkCount(plainBytes);

/** Sealed length of chunk `number` of something so long. */
export const sealedChunkBytes = (plainBytes: number, number: number) => sealBytes + Math.min(chunkBytes, plainBytes - number * chunkBytes);
