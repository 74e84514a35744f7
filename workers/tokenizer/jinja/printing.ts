/** Python's `str` and `repr`. */
import { Float, isList, Lazy, type Rendering, sequence, TemplateError, Tuple, typeName, type Value, View } from "./values.ts";

export function str(value: Value, rendering: Rendering): string {
  if (typeof value === "string") return value;
  return value === undefined ? "" : repr(value, rendering);
}

export function repr(value: Value, rendering: Rendering): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  if (typeof value === "string") return quoted(value, rendering);
  if (value === undefined) return "Undefined";
  if (value instanceof Float) return floatText(value.value);
  const all = (items: readonly Value[]): string => items.map((item) => repr(item, rendering)).join(", ");
  if (isList(value)) return `[${all(value)}]`;
  if (value instanceof Tuple) return value.items.length === 1 ? `(${all(value.items)},)` : `(${all(value.items)})`;
  if (value instanceof Map) return `{${[...value].map(([key, one]) => `${repr(key, rendering)}: ${repr(one, rendering)}`).join(", ")}}`;
  if (value instanceof View) return value.printed.endsWith(")") ? value.printed : `${value.printed}([${all(sequence(value) ?? [])}])`;
  throw new TemplateError(
    `${value instanceof Lazy ? "a generator" : `a ${typeName(value)}`} is not printed as in Python; | list makes a list of it`,
  );
}

/** The shortest digits that give the number, with Python's rule for where exponents begin. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const [mantissa = "", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power < -4 || power >= 16) return `${mantissa}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  const digits = Math.max(1, (mantissa.split(".")[1]?.length ?? 0) - power);
  return value.toFixed(digits);
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Zs}]/u;

function quoted(text: string, { verbatim }: Rendering): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let inside = "";
  for (const character of text) {
    const escape = escapes[character];
    if (escape !== undefined) inside += escape;
    else if (character === quote) inside += `\\${quote}`;
    else if (character === " " || verbatim.includes(character) || !unprintable.test(character)) inside += character;
    else inside += codeEscape(character.codePointAt(0) ?? 0);
  }
  return quote + inside + quote;
}

function codeEscape(code: number): string {
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
