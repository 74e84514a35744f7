/** Numbers of other values, and rounding, by Python's rules. */
import { strip } from "./characters.ts";
import { Float, int, intArgument, numberOf, TemplateError, typeName, type Value } from "./values.ts";

const wholeNumber = /^[+-]?\d+(?:_\d+)*$/;
/** Of `toFixed`. */
const mostDigits = 100;
const realNumber = /^[+-]?(?:(?:\d+(?:_\d+)*)?\.?\d+(?:_\d+)*|\d+(?:_\d+)*\.)(?:e[+-]?\d+)?$/i;

/** Undefined where Python's `int`, of the value or of its `float`, fails. */
export function toInt(value: Value): number | undefined {
  if (typeof value === "string" && wholeNumber.test(strip(value))) return int(Number(strip(value).replaceAll("_", "")));
  const number = toFloat(value)?.value;
  return number === undefined || !Number.isFinite(number) ? undefined : int(Math.trunc(number));
}

export function toFloat(value: Value): Float | undefined {
  const number = numberOf(value);
  if (number !== undefined) return new Float(number);
  if (value === undefined) throw new TemplateError("an undefined value is no number");
  if (typeof value !== "string") return undefined;
  const text = strip(value);
  const word = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (word) return new Float(word[2]?.toLowerCase() === "nan" ? NaN : word[1] === "-" ? -Infinity : Infinity);
  return realNumber.test(text) ? new Float(Number(text.replaceAll("_", ""))) : undefined;
}

export function roundNumber(value: Value, options: { readonly precision?: Value; readonly method?: Value }): Value {
  const number = numberOf(value);
  if (number === undefined) throw new TemplateError(`type ${typeName(value)} doesn't define __round__ method`);
  const { precision = 0, method = "common" } = options;
  const digits = intArgument("round", precision);
  const scale = 10 ** digits;
  if (method === "ceil") return new Float(Math.ceil(number * scale) / scale);
  if (method === "floor") return new Float(Math.floor(number * scale) / scale);
  if (method !== "common") throw new TemplateError("method must be common, ceil or floor");
  if (!(value instanceof Float)) return digits >= 0 ? int(number) : int(halfToEven(number * scale) / scale);
  return new Float(Number.isInteger(number) && digits >= 0 ? number : rounded(number, digits));
}

/** `toFixed` is exact but for ties, which Python rounds to even. */
function rounded(number: number, digits: number): number {
  const scale = 10 ** digits;
  if (digits < 0) return halfToEven(number * scale) / scale;
  const fraction = number.toFixed(mostDigits).split(".")[1] ?? "";
  return /^50*$/.test(fraction.slice(digits)) ? halfToEven(number * scale) / scale : Number(number.toFixed(Math.min(digits, mostDigits)));
}

function halfToEven(number: number): number {
  const floor = Math.floor(number);
  const rest = number - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}
