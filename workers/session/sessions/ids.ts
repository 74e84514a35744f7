/** Names that can't be guessed: what they open, they open for whoever has them and the right key. */
import { randomHex } from "../../encoding/hex.ts";

export type IdPrefix = "sess" | "ctx" | "share";

export function newId(prefix: IdPrefix): string {
  return `${prefix}_${randomHex()}`;
}

export function isId(text: string, ...prefixes: readonly IdPrefix[]): boolean {
  const [prefix = "", digits = ""] = text.split("_");
  return prefixes.some((known) => known === prefix) && /^[0-9a-f]{32}$/.test(digits) && text.length === prefix.length + 1 + digits.length;
}
