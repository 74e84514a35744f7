/** How a token is shown in log-probabilities: its text, or its bytes in OpenAI's escaped form where it is part of a character. */
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

export interface TokenLabel {
  readonly text: string;
  readonly bytes: Uint8Array;
}

export function tokenLabel(tokenizer: Tokenizer, id: number): TokenLabel {
  const bytes = tokenizer.tokenBytes(id);
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes), bytes };
  } catch {
    const escaped = Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
    return { text: `bytes:${escaped}`, bytes };
  }
}
