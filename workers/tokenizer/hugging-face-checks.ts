/** Rules for the fields of a Hugging Face file. A field that no rule names is refused, so nothing that a file asks for is silently dropped. */
import { modelInvalid } from "./failures.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

export interface Rule {
  /** Goes on after "must". */
  readonly says: string;
  /** `value` is undefined where the field is absent. */
  readonly holds: (value: unknown) => boolean;
}

export const anything: Rule = { says: "be there or not", holds: () => true };
export const flag: Rule = { says: "be true or false", holds: (value) => value === undefined || typeof value === "boolean" };
export const off: Rule = { says: "be false", holds: (value) => value === undefined || value === null || value === false };
export const empty: Rule = { says: "be null", holds: (value) => value === undefined || value === null };
export const blank: Rule = { says: "be null or empty", holds: (value) => empty.holds(value) || value === "" };
export const zero: Rule = { says: "be null or 0", holds: (value) => empty.holds(value) || value === 0 };

export function exactly(...allowed: readonly unknown[]): Rule {
  const shown = allowed.map((value) => JSON.stringify(value));
  return { says: `be ${shown.join(" or ")}`, holds: (value) => allowed.some((one) => JSON.stringify(one) === JSON.stringify(value)) };
}

/** @throws ServiceError that names the first field of `object` that breaks its rule or has none. */
export function checkFields(path: string, object: JsonObject, rules: Readonly<Record<string, Rule>>): void {
  const separator = path.endsWith(": ") ? "" : ".";
  for (const [name, { says, holds }] of Object.entries(rules)) {
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    if (!holds(value)) throw wrong(`${path}${separator}${name}`, says, value);
  }
  for (const [name, value] of Object.entries(object)) {
    if (!Object.hasOwn(rules, name)) throw wrong(`${path}${separator}${name}`, "be absent", value);
  }
}

export function objectAt(path: string, value: unknown): JsonObject {
  if (isObject(value)) return value;
  throw wrong(path, "be an object", value);
}

export function listAt(path: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value as readonly unknown[];
  throw wrong(path, "be a list", value);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const longestShownCodeUnits = 200;

export function wrong(path: string, says: string, value: unknown): Error {
  const shown = value === undefined ? "absent" : JSON.stringify(value).slice(0, longestShownCodeUnits);
  return modelInvalid(`${path} must ${says}; it is ${shown}`);
}
