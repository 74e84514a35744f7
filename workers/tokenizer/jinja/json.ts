/** Python's `json.dumps`, which transformers gives templates as `tojson`: no character is escaped for HTML. */
import { floatText } from "./printing.ts";
import { compare } from "./operators.ts";
import { Float, type Rendering, sequence, TemplateError, Tuple, isList, truthy, typeName, type Value, textArgument } from "./values.ts";

export interface JsonOptions {
  readonly ensure_ascii?: Value;
  readonly indent?: Value;
  readonly separators?: Value;
  readonly sort_keys?: Value;
}

interface Form {
  readonly ascii: boolean;
  readonly indent: string | undefined;
  readonly item: string;
  readonly key: string;
  readonly sorted: boolean;
  readonly verbatim: string;
}

export function toJson(value: Value, options: JsonOptions, { verbatim }: Rendering): string {
  const indent = indentOf(options.indent);
  const pair = options.separators === undefined || options.separators === null ? undefined : sequence(options.separators);
  const [item, key] = pair?.map((one) => textArgument("separators", one)) ?? [indent === undefined ? ", " : ",", ": "];
  if (item === undefined || key === undefined) throw new TemplateError("tojson's separators must be two texts");
  return write(value, { ascii: truthy(options.ensure_ascii), indent, item, key, sorted: truthy(options.sort_keys), verbatim }, "\n");
}

function indentOf(value: Value): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return " ".repeat(Math.max(0, Number(value)));
  throw new TemplateError(`tojson's indent must be an int or a str; it is a ${typeName(value)}`);
}

function write(value: Value, form: Form, line: string): string {
  if (value === null) return "null";
  if (typeof value === "boolean" || typeof value === "number" || typeof value === "bigint") return String(value);
  if (typeof value === "string") return quoted(value, form);
  if (value instanceof Float) return jsonFloat(value.value);
  const next = form.indent === undefined ? "" : line + form.indent;
  const enclosed = (open: string, parts: readonly string[], close: string): string => {
    if (parts.length === 0) return open + close;
    return open + next + parts.join(form.item + next) + (form.indent === undefined ? "" : line) + close;
  };
  const deeper = form.indent === undefined ? line : next;
  if (isList(value) || value instanceof Tuple) {
    const items = sequence(value) ?? [];
    return enclosed(
      "[",
      items.map((item) => write(item, form, deeper)),
      "]",
    );
  }
  if (value instanceof Map) {
    const entries = [...value];
    if (form.sorted) entries.sort(([left], [right]) => compare(left, right));
    return enclosed(
      "{",
      entries.map(([key, one]) => quoted(String(key), form) + form.key + write(one, form, deeper)),
      "}",
    );
  }
  throw new TemplateError(`Object of type ${typeName(value)} is not JSON serializable`);
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  return Number.isFinite(value) ? floatText(value) : value > 0 ? "Infinity" : "-Infinity";
}

const short: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  '"': '\\"',
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\f": "\\f",
  "\b": "\\b",
};

function quoted(text: string, { ascii, verbatim }: Form): string {
  const escaped = text.replace(ascii ? /[\\"]|[^ -~]/g : /[\\"\u0000-\u001f]/g, (unit) => {
    if (verbatim.includes(unit)) return unit;
    return short[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}
