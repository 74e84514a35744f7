/** Bytes as lower-case hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The bytes that so many pairs of digits stand for; the text must come from {@link toHex}. */
export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** 128 bits that nobody can guess. */
export function randomHex(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}
