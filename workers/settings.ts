/**
 * Variables of the Workers, all read and checked in one way: unset or empty means the default, and a wrong value is an error that names the
 * variable, its rule and the value, never a default in silence.
 */
import { ServiceError, type ServiceFailure } from "./contracts/errors.ts";

export type Variables<Name extends string> = { readonly [variable in Name]?: string | undefined };

export interface Range {
  readonly least: number;
  readonly most: number;
}

export interface ListRule {
  /** What each value must be, in words that complete "must be ". */
  readonly each: string;
  readonly pattern: RegExp;
  /** True where the value may stand in no message. */
  readonly secret?: true;
}

const millisecondsPerSecond = 1_000;
const shownCharacters = 100;

/** A whole number of `unit`, such as "MiB". @throws ServiceError `configuration_invalid`. */
export function wholeNumber<Name extends string>(
  variables: Variables<Name>,
  name: Name,
  unit: string,
  unset: number,
  { least, most }: Range,
): number {
  const text = textOf(variables, name);
  if (text === undefined) return unset;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw misconfigured(name, `must be a whole number of ${unit} from ${String(least)} to ${String(most)}`, text);
}

/** Milliseconds, from seconds with at most three decimals; `unset` and the range are in seconds too. @throws ServiceError `configuration_invalid`. */
export function milliseconds<Name extends string>(variables: Variables<Name>, name: Name, unset: number, { least, most }: Range): number {
  const text = textOf(variables, name);
  if (text === undefined) return unset * millisecondsPerSecond;
  const value = /^\d{1,15}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return Math.round(value * millisecondsPerSecond);
  throw misconfigured(name, `must be a number of seconds from ${String(least)} to ${String(most)}, with at most three decimals`, text);
}

/** Undefined where it is unset. @throws ServiceError `configuration_invalid`. */
export function oneOf<Name extends string, Value extends string>(
  variables: Variables<Name>,
  name: Name,
  values: readonly Value[],
): Value | undefined {
  const text = textOf(variables, name);
  if (text === undefined) return undefined;
  const found = values.find((value) => value === text);
  if (found !== undefined) return found;
  throw misconfigured(name, `must be one of ${values.join(", ")}`, text);
}

/** Values between commas, white space around them aside; none where it is unset. @throws ServiceError `configuration_invalid`. */
export function list<Name extends string>(variables: Variables<Name>, name: Name, { each, pattern, secret }: ListRule): readonly string[] {
  const text = textOf(variables, name);
  if (text === undefined) return [];
  const values = text.split(",").map((value) => value.trim());
  if (values.every((value) => pattern.test(value))) return values;
  throw misconfigured(name, `must be ${each}, separated by commas`, secret === true ? undefined : text);
}

/** `text` is left out where it is secret. */
export function misconfigured(name: string, rule: string, text?: string): ServiceError {
  const value = text === undefined ? "its value, which is secret, is not" : `it is ${JSON.stringify(text.slice(0, shownCharacters))}`;
  const failure: ServiceFailure = { code: "configuration_invalid", status: 500, message: `${name} ${rule}; ${value}.`, retryable: false };
  return new ServiceError(failure);
}

/**
 * What `read` makes of these variables, made anew only where one of them is another than the last time: an isolate's stay the same for its life,
 * but in tests. A wrong value is an error every time.
 */
export function rememberedSettings<Given extends object, Value>(
  names: readonly (keyof Given)[],
  read: (variables: Given) => Value,
): (variables: Given) => Value {
  let last: { readonly values: readonly unknown[]; readonly made: Value } | undefined;
  return (variables) => {
    const values = names.map((name) => variables[name]);
    if (last === undefined || values.some((value, at) => value !== last?.values[at])) last = { values, made: read(variables) };
    return last.made;
  };
}

/** For a variable that something needs, and that has no value. */
export function unset(name: string, rule: string): ServiceError {
  return new ServiceError({ code: "configuration_invalid", status: 500, message: `${name} ${rule}; it is not set.`, retryable: false });
}

/** wrangler.toml may hold numbers and truth values too, which are taken as they are written. */
function textOf<Name extends string>(variables: Variables<Name>, name: Name): string | undefined {
  const value: unknown = variables[name];
  if (value === undefined || value === null || value === "") return undefined;
  return typeof value === "string" ? value : JSON.stringify(value);
}
