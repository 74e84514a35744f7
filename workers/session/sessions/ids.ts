/** Names that can't be guessed: what they open, they open for whoever has them and the right key. */
const RANDOM_BYTES = 16;

export type IdPrefix = "sess" | "ctx" | "share";

export function newId(prefix: IdPrefix): string {
  const bytes = crypto.getRandomValues(new Uint8Array(RANDOM_BYTES));
  return `${prefix}_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

export function isId(text: string, ...prefixes: readonly IdPrefix[]): boolean {
  const [prefix = "", digits = ""] = text.split("_");
  return prefixes.some((known) => known === prefix) && /^[0-9a-f]{32}$/.test(digits) && text.length === prefix.length + 1 + digits.length;
}
