/** Token ids to text as they come: never part of a code point, and in all exactly what decoding everything at once gives. */
import type { DecodeOptions, Tokenizer } from "./tokenizer.ts";

export class StreamDecoder {
  readonly #tokenizer: Tokenizer;
  readonly #skipSpecial: boolean;
  /** The beginning of a code point whose other bytes may still come: at most three bytes. */
  #pending: Uint8Array = new Uint8Array(0);

  constructor(tokenizer: Tokenizer, { skipSpecial = false }: DecodeOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#skipSpecial = skipSpecial;
  }

  push(id: number): string {
    const bytes = this.#tokenizer.tokenBytes(id);
    if (this.#skipSpecial && this.#tokenizer.isSpecial(id)) return "";
    const joined = new Uint8Array(this.#pending.length + bytes.length);
    joined.set(this.#pending);
    joined.set(bytes, this.#pending.length);
    const complete = joined.length - incompleteTail(joined);
    this.#pending = joined.slice(complete);
    return text(joined.subarray(0, complete));
  }

  /** What is still held back, as U+FFFD; nothing more comes. */
  flush(): string {
    const rest = text(this.#pending);
    this.#pending = new Uint8Array(0);
    return rest;
  }
}

function text(bytes: Uint8Array): string {
  // A leading U+FEFF is text like any other.
  return new TextDecoder("utf-8", { fatal: false, ignoreBOM: true }).decode(bytes);
}

/** How many bytes at the end begin a code point that further bytes could complete. */
function incompleteTail(bytes: Uint8Array): number {
  for (let tail = 1; tail <= Math.min(3, bytes.length); tail++) {
    const lead = bytes[bytes.length - tail] ?? 0;
    if ((lead & 0xc0) === 0x80) continue;
    const length = lead < 0xc2 || lead > 0xf4 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (length <= tail) return 0;
    return tail === 1 || maySecondFollow(lead, bytes[bytes.length - tail + 1] ?? 0) ? tail : 0;
  }
  return 0;
}

/** Overlong forms, surrogates and code points beyond U+10FFFF show in the second byte. */
function maySecondFollow(lead: number, second: number): boolean {
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second < 0xa0;
  if (lead === 0xf0) return second >= 0x90;
  if (lead === 0xf4) return second < 0x90;
  return true;
}
