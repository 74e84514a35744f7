/**
 * What this script takes for granted beside a browser's Worker, and how the code that it has in common with workerd calls a browser: there bytes
 * may lie in any kind of memory, to the browser's types only in one that is not shared. What crosses between threads here is never given to them.
 */

/** `build.mjs` writes a file of its own for each, and the import is its path. */
declare module "*.wasm" {
  const path: string;
  export default path;
}

/** Whatever answers requests, as workerd calls it: the engine's code reads its files of one. */
interface Fetcher {
  fetch(address: string): Promise<Response>;
}

interface AnyAesGcm {
  readonly name: string;
  readonly iv: Uint8Array;
  readonly additionalData: Uint8Array;
}

interface SubtleCrypto {
  digest(algorithm: "SHA-256", data: Uint8Array): Promise<ArrayBuffer>;
  encrypt(algorithm: AnyAesGcm, key: CryptoKey, data: Uint8Array): Promise<ArrayBuffer>;
  decrypt(algorithm: AnyAesGcm, key: CryptoKey, data: Uint8Array): Promise<ArrayBuffer>;
  importKey(
    format: "raw",
    keyData: Uint8Array,
    algorithm: string,
    extractable: boolean,
    usages: ("encrypt" | "decrypt" | "deriveBits")[],
  ): Promise<CryptoKey>;
  deriveBits(
    algorithm: { readonly name: string; readonly hash: string; readonly salt: Uint8Array; readonly iterations: number },
    key: CryptoKey,
    length: number,
  ): Promise<ArrayBuffer>;
}

interface ReadableByteStreamController {
  enqueue(chunk: Uint8Array): void;
}
