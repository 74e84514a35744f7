/** Attributes, items and slices of values, as Jinja2's sandbox finds them. */
import { equals } from "./operators.ts";
import { textMethods, unservedTextMethods } from "./text-methods.ts";
import {
  bind,
  type Callable,
  characters,
  isList,
  Lazy,
  Namespace,
  type Rendering,
  sequence,
  TemplateError,
  Tuple,
  typeName,
  type Value,
  View,
} from "./values.ts";

/** `value.name`: a method goes before a key of the same name. */
export function attribute(value: Value, name: string, rendering: Rendering): Value {
  const found = ownAttribute(value, name, rendering);
  return found === undefined && value instanceof Map ? value.get(name) : found;
}

/** `value[key]`: a key goes before a method of the same name. */
export function item(value: Value, key: Value, rendering: Rendering): Value {
  if (value instanceof Map) {
    const found = typeof key === "string" || typeof key === "number" ? value.get(key) : undefined;
    return found === undefined && typeof key === "string" ? ownAttribute(value, key, rendering) : found;
  }
  if (typeof key === "string") return ownAttribute(value, key, rendering);
  if (value === undefined) throw new TemplateError(`an undefined value has no element of the type ${typeName(key)}`);
  const at = typeof key === "boolean" ? Number(key) : key;
  if (typeof at !== "number") return undefined;
  return (typeof value === "string" ? characters(value) : sequenceOrNothing(value)).at(at);
}

/** A view of a dict has no order that could be asked for; a range has. */
function sequenceOrNothing(value: Value): readonly Value[] {
  if (value instanceof View && !value.printed.endsWith(")")) return [];
  return sequence(value) ?? [];
}

export function slice(value: Value, start: Value, stop: Value, step: Value): Value {
  const bound = (one: Value): number | undefined => {
    if (one === undefined || one === null) return undefined;
    if (typeof one === "number" || typeof one === "boolean") return Number(one);
    throw new TemplateError("slice indices must be integers or None");
  };
  const by = bound(step) ?? 1;
  if (by === 0) throw new TemplateError("slice step cannot be zero");
  if (typeof value === "string") return sliced(characters(value), bound(start), bound(stop), by).join("");
  if (isList(value)) return sliced(value, bound(start), bound(stop), by);
  if (value instanceof Tuple) return new Tuple(sliced(value.items, bound(start), bound(stop), by));
  if (value instanceof Map) return undefined;
  throw new TemplateError(`'${typeName(value)}' object is not sliced`);
}

function sliced<T>(items: readonly T[], start: number | undefined, stop: number | undefined, by: number): T[] {
  const { length } = items;
  const [lowest, highest] = by > 0 ? [0, length] : [-1, length - 1];
  const clamp = (at: number): number => Math.min(highest, Math.max(lowest, at < 0 ? at + length : at));
  const from = start === undefined ? (by > 0 ? lowest : highest) : clamp(start);
  const to = stop === undefined ? (by > 0 ? highest : lowest) : clamp(stop);
  const found: T[] = [];
  for (let at = from; by > 0 ? at < to : at > to; at += by) found.push(items[at] as T);
  return found;
}

function ownAttribute(value: Value, name: string, rendering: Rendering): Value {
  if (value === undefined) throw new TemplateError(`an undefined value has no attribute '${name}'`);
  if (value === null || name.startsWith("__")) return undefined;
  if (typeof value === "string") return textMethod(value, name, rendering);
  if (value instanceof Namespace) return value.attributes.get(name);
  if (value instanceof Map) return dictMethod(value, name);
  if (isList(value) || value instanceof Tuple) return listMethod(sequence(value) ?? [], name);
  return undefined;
}

function textMethod(value: string, name: string, rendering: Rendering): Callable | undefined {
  if (unservedTextMethods.has(name)) throw new TemplateError(`the method '${name}' of a str is not served`);
  const method = Object.hasOwn(textMethods, name) ? textMethods[name] : undefined;
  return method && ((input) => method(value, input, rendering));
}

function dictMethod(value: Map<string | number, Value>, name: string): Callable | undefined {
  switch (name) {
    case "get":
      return (input) => {
        const { key, default: otherwise = null } = bind("get", input, ["key", "default"], 1);
        const isKey = (typeof key === "string" || typeof key === "number") && value.has(key);
        return isKey ? value.get(key) : otherwise;
      };
    case "items":
      return () => new View("dict_items", dictItems(value));
    case "keys":
      return () => new View("dict_keys", [...value.keys()]);
    case "values":
      return () => new View("dict_values", [...value.values()]);
    case "copy":
      return () => new Map(value);
    default:
      return changing(name, ["clear", "pop", "popitem", "setdefault", "update"]);
  }
}

export function dictItems(value: ReadonlyMap<string | number, Value>): Tuple[] {
  return [...value].map((entry) => new Tuple(entry));
}

function listMethod(items: readonly Value[], name: string): Callable | undefined {
  switch (name) {
    case "count":
      return (input) => {
        const { value } = bind("count", input, ["value"], 1);
        return items.filter((one) => equals(one, value)).length;
      };
    case "index":
      return (input) => {
        const { value } = bind("index", input, ["value"], 1);
        const at = items.findIndex((one) => equals(one, value));
        if (at < 0) throw new TemplateError("the value is not in the list");
        return at;
      };
    case "copy":
      return () => [...items];
    default:
      return changing(name, ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"]);
  }
}

function changing(name: string, methods: readonly string[]): Callable | undefined {
  if (!methods.includes(name)) return undefined;
  return () => {
    throw new TemplateError(`the sandbox does not let '${name}' change a value`);
  };
}

/** The next item, as the filter `first` takes it. */
export function firstOf(value: Value, items: (value: Value) => readonly Value[]): Value {
  return value instanceof Lazy ? value.next() : items(value)[0];
}
