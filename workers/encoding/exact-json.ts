/**
 * JSON whose numbers keep their digits. A double has 53 bits: `JSON.parse` makes another number of what has more, and says nothing. Here such a number
 * comes as an object of its own, which `JSON.stringify` writes as it was.
 */

type Reviver = (this: unknown, key: string, value: unknown, context?: { readonly source?: string }) => unknown;
const { rawJSON, isRawJSON, parse } = JSON as unknown as {
  readonly rawJSON?: (text: string) => object;
  readonly isRawJSON?: (value: unknown) => value is { readonly rawJSON: string };
  readonly parse: (text: string, reviver?: Reviver) => unknown;
};

/** No shorter number can lose a digit, and none with a shorter exponent its size. */
const perhapsInexact = /\d(?:\.?\d){15}|\d[eE][+-]?\d{3}/;

/** Whether a text may have such a number: a reviver is called for every value there is, so that only who sends one should pay for it. */
export const mayBeInexact = (text: string): boolean => perhapsInexact.test(text);

/** As `JSON.parse`, where all numbers fit. Runtimes that don't know how a number was written (Node.js before 21) leave doubles. @throws SyntaxError, RangeError */
export function parseExact(text: string): unknown {
  if (rawJSON === undefined || !mayBeInexact(text)) return parse(text);
  return parse(text, (_key, value, context) => {
    const source = context?.source;
    return typeof value === "number" && source !== undefined && !isSame(source, value) ? rawJSON(source) : value;
  });
}

/** How a number was written that a double does not hold; undefined for any other value. */
export function digitsOf(value: unknown): string | undefined {
  return isRawJSON?.(value) === true ? value.rawJSON : undefined;
}

/** With the numbers that Python's `json` reads in the place of such: an integer beyond 2^53 is a `bigint`, and all others are doubles. */
export function withPythonNumbers(value: unknown): unknown {
  const digits = digitsOf(value) ?? (typeof value === "number" && !Number.isSafeInteger(value) ? String(value) : undefined);
  if (digits !== undefined) return /^-?\d+$/.test(digits) ? BigInt(digits) : Number(digits);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withPythonNumbers);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withPythonNumbers(one)]));
}

/** Numbers of JSON with larger exponents are no integers that anybody means. */
const longestInteger = 400;

/** The integer that a number of either kind is, as it was written; undefined for a fraction, for what is too large, and for what is no number. */
export function integerOf(value: unknown): bigint | undefined {
  const source = digitsOf(value) ?? (typeof value === "number" ? String(value) : undefined);
  if (source === undefined) return undefined;
  const [digits = "", exponent = "0"] = decimal(source).split("e");
  return Number(exponent) < 0 || Number(exponent) > longestInteger || digits.length > longestInteger
    ? undefined
    : BigInt(digits) * 10n ** BigInt(exponent);
}

/** Whether a number is written again with the same digits. */
function isSame(source: string, value: number): boolean {
  return Number.isFinite(value) && decimal(source) === decimal(String(value));
}

/** Significant digits and exponent: the same text for every way to write a decimal number. */
function decimal(source: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  if (significant === "") return "0";
  return `${sign}${significant}e${String(Number(exponent) - fraction.length + digits.length - significant.length)}`;
}
