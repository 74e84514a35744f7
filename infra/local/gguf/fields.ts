/** Typed look-ups in a GGUF's metadata: a message names the field, the rule and the value. */

export type Metadata = Readonly<Record<string, unknown>>;

export function text(metadata: Metadata, key: string): string {
  return required(key, optional(metadata, key, isText, "a string"), "a string");
}

export function integer(metadata: Metadata, key: string): number {
  return required(key, optional(metadata, key, isInteger, "an integer"), "an integer");
}

export function list<T>(metadata: Metadata, key: string, check: (value: unknown) => value is T, kind: string): T[] {
  const isList = (value: unknown): value is T[] => Array.isArray(value) && value.every(check);
  return required(key, optional(metadata, key, isList, `an array of ${kind}`), `an array of ${kind}`);
}

function required<T>(key: string, value: T | undefined, rule: string): T {
  if (value === undefined) throw broken(key, `must be ${rule}`, undefined);
  return value;
}

export function optional<T>(metadata: Metadata, key: string, check: (value: unknown) => value is T, rule: string): T | undefined {
  const value = metadata[key];
  if (value === undefined) return undefined;
  // 64-bit integers arrive as bigint; every count here is far below 2^53.
  const plain = typeof value === "bigint" ? Number(value) : value;
  if (!check(plain)) throw broken(key, `must be ${rule}`, plain);
  return plain;
}

export function broken(key: string, rule: string, value: unknown): Error {
  const shown = value === undefined ? "is missing" : `is ${JSON.stringify(value).slice(0, 80)}`;
  return new Error(`The GGUF's metadata field "${key}" ${rule}; it ${shown}.`);
}

export const isText = (value: unknown): value is string => typeof value === "string";
export const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);
export const isBoolean = (value: unknown): value is boolean => typeof value === "boolean";
export const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
