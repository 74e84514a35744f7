/** GPT-2's alphabet: every byte as one printable character, so that vocabularies can be text. */

const printable = (byte: number): boolean => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;

const characterOfByte: readonly string[] = makeAlphabet();
/** By code unit; -1 where the character stands for no byte. */
const byteOfCodeUnit = new Int16Array(0x180).fill(-1);
for (const [byte, character] of characterOfByte.entries()) byteOfCodeUnit[character.charCodeAt(0)] = byte;

const encoder = new TextEncoder();

function makeAlphabet(): string[] {
  let unprintable = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : 0x100 + unprintable++));
}

export function bytesToAlphabet(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += characterOfByte[byte] ?? "";
  return text;
}

/** The bytes a vocabulary entry stands for. An entry with a character outside the alphabet (an added token) is plain text. */
export function alphabetToBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let index = 0; index < token.length; index++) {
    const byte = byteOfCodeUnit[token.charCodeAt(index)] ?? -1;
    if (byte < 0) return encoder.encode(token);
    bytes[index] = byte;
  }
  return bytes;
}

/** The token of each byte; -1 for a byte that the vocabulary lacks. */
export function tokensOfBytes(idOfToken: ReadonlyMap<string, number>): Int32Array {
  return Int32Array.from(characterOfByte, (character) => idOfToken.get(character) ?? -1);
}
