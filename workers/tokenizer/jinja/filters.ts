/** Jinja2's filters, `tojson` as transformers has it. */
import { capitalize, lines, strip } from "./characters.ts";
import { toJson } from "./json.ts";
import { dictItems, firstOf, item } from "./members.ts";
import { str } from "./printing.ts";
import { roundNumber, toFloat, toInt } from "./number-filters.ts";
import { sequenceFilters } from "./sequence-filters.ts";
import { replaceText, textMethods } from "./text-methods.ts";
import {
  type Arguments,
  bind,
  characters,
  type Filter,
  Float,
  intArgument,
  int,
  iterate,
  Lazy,
  lengthOf,
  numberOf,
  type Rendering,
  sequence,
  TemplateError,
  truthy,
  typeName,
  type Value,
} from "./values.ts";

const onText =
  (name: string, make: (text: string) => Value): Filter =>
  (value, input, rendering) => {
    bind(name, input, []);
    return make(str(value, rendering));
  };

const otherwise: Filter = (value, input) => {
  const { default_value: made = "", boolean } = bind("default", input, ["default_value", "boolean"]);
  return value === undefined || (truthy(boolean) && !truthy(value)) ? made : value;
};

const length: Filter = (value, input) => {
  bind("length", input, []);
  return lengthOf(value);
};

function indent(value: Value, input: Arguments, rendering: Rendering): string {
  const { width = 4, first, blank } = bind("indent", input, ["width", "first", "blank"]);
  const by = typeof width === "string" ? width : " ".repeat(Math.max(0, intArgument("indent", width)));
  const [head = "", ...rest] = lines(`${str(value, rendering)}\n`);
  const made = [head, ...rest.map((line) => (line === "" && !truthy(blank) ? line : by + line))].join("\n");
  return truthy(first) ? by + made : made;
}

/** Each word's first letter; a word begins behind white space, a hyphen or an opening bracket. */
function titled(text: string): string {
  return text
    .split(/([-\s({[<]+)/)
    .map((part) => {
      const [first = ""] = characters(part);
      return first.toUpperCase() + part.slice(first.length).toLowerCase();
    })
    .join("");
}

function reversed(value: Value): Value {
  if (typeof value === "string") return characters(value).reverse().join("");
  const items = value instanceof Map ? [...value.keys()] : sequence(value);
  if (!items) throw new TemplateError("argument must be iterable");
  return new Lazy([...items].reverse());
}

export const filters: Readonly<Record<string, Filter>> = {
  ...sequenceFilters(filterNamed),
  abs: (value) => {
    const number = numberOf(value);
    if (number === undefined) throw new TemplateError(`bad operand type for abs(): '${typeName(value)}'`);
    return value instanceof Float ? new Float(Math.abs(number)) : int(Math.abs(number));
  },
  attr: (value, input, rendering) => {
    const { name } = bind("attr", input, ["name"], 1);
    if (value instanceof Map) throw new TemplateError("the filter 'attr' of a dict is not served; use its item");
    return item(value, str(name, rendering), rendering);
  },
  capitalize: onText("capitalize", capitalize),
  center: (value, input, rendering) => {
    const { width = 80 } = bind("center", input, ["width"]);
    return textMethods.center?.(str(value, rendering), { positional: [width], named: new Map() }, rendering);
  },
  count: length,
  d: otherwise,
  default: otherwise,
  first: (value) => firstOf(value, iterate),
  float: (value, input) => {
    const { default: made = new Float(0) } = bind("float", input, ["default"]);
    return toFloat(value) ?? made;
  },
  indent,
  int: (value, input) => {
    const { default: made = 0, base = 10 } = bind("int", input, ["default", "base"]);
    if (base !== 10) throw new TemplateError("the filter 'int' is served with base 10 only");
    return toInt(value) ?? made;
  },
  items: (value) => {
    if (value === undefined) return new Lazy([]);
    if (value instanceof Map) return new Lazy(dictItems(value));
    throw new TemplateError("Can only get item pairs from a mapping.");
  },
  last: (value) => {
    if (value instanceof Lazy) throw new TemplateError("'generator' object is not reversible");
    return iterate(value).at(-1);
  },
  length,
  list: (value) => [...iterate(value)],
  lower: onText("lower", (text) => text.toLowerCase()),
  replace: (value, { positional, named }, rendering) => {
    const texts = positional.map((one, at) => (at < 2 ? str(one, rendering) : one));
    return replaceText(str(value, rendering), { positional: texts, named });
  },
  reverse: reversed,
  round: (value, input) => roundNumber(value, bind("round", input, ["precision", "method"])),
  string: (value, _, rendering) => str(value, rendering),
  title: onText("title", titled),
  tojson: (value, input, rendering) =>
    toJson(value, bind("tojson", input, ["ensure_ascii", "indent", "separators", "sort_keys"]), rendering),
  trim: (value, input, rendering) => {
    const { chars } = bind("trim", input, ["chars"]);
    return strip(str(value, rendering), chars === undefined || chars === null ? undefined : str(chars, rendering));
  },
  upper: onText("upper", (text) => text.toUpperCase()),
  wordcount: (value, _, rendering) => (str(value, rendering).match(/[\p{L}\p{N}_]+/gu) ?? []).length,
};

export function filterNamed(name: string): Filter {
  const filter = Object.hasOwn(filters, name) ? filters[name] : undefined;
  if (filter) return filter;
  throw new TemplateError(`the filter '${name}' is not served`);
}
