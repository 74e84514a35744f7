export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** 128 bits that nobody can guess. */
export function randomId(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}
