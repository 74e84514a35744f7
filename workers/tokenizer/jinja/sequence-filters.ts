/** Filters of sequences. What is a generator in Jinja2 is one here: it is read once and has no length. */
import { dictItems, item } from "./members.ts";
import { compare, equals, operators } from "./operators.ts";
import { str } from "./printing.ts";
import { testNamed } from "./tests.ts";
import { type Arguments, bind, type Filter, iterate, Lazy, type Rendering, TemplateError, truthy, Tuple, type Value } from "./values.ts";

type Getter = (value: Value) => Value;

/** `a.b.0` goes down; without an attribute it is the value itself. */
function getter(attribute: Value, rendering: Rendering, otherwise?: Value): Getter {
  if (attribute === undefined || attribute === null) return (value) => value;
  const path = typeof attribute === "number" ? [attribute] : str(attribute, rendering).split(".").map(step);
  return (value) => {
    let at = value;
    for (const part of path) {
      at = item(at, part, rendering);
      if (at === undefined && otherwise !== undefined) at = otherwise;
    }
    return at;
  };
}

function step(part: string): string | number {
  return /^\d+$/.test(part) ? Number(part) : part;
}

/** Letter case does not count unless it is asked for. */
function keyOf(get: Getter, caseSensitive: Value): Getter {
  return (value) => {
    const key = get(value);
    return typeof key === "string" && !truthy(caseSensitive) ? key.toLowerCase() : key;
  };
}

function sorted(items: readonly Value[], key: Getter, reverse: Value): Value[] {
  const keyed = items.map((value) => ({ value, key: key(value) }));
  keyed.sort((left, right) => (truthy(reverse) ? compare(right.key, left.key) : compare(left.key, right.key)));
  return keyed.map(({ value }) => value);
}

function extreme(name: string, sign: number): Filter {
  return (value, input, rendering) => {
    const { case_sensitive: sensitive, attribute } = bind(name, input, ["case_sensitive", "attribute"]);
    const key = keyOf(getter(attribute, rendering), sensitive);
    let best: Value;
    for (const [at, one] of iterate(value).entries()) if (at === 0 || sign * compare(key(one), key(best)) > 0) best = one;
    return best;
  };
}

/** `select`, `reject` and their kin: by a test's name and its arguments, or by truth. */
function selecting(byAttribute: boolean, wanted: boolean): Filter {
  return (value, { positional, named }, rendering) => {
    if (named.size > 0) throw new TemplateError("selecting takes no arguments by name");
    const [attribute, ...others] = byAttribute ? positional : [undefined, ...positional];
    if (byAttribute && attribute === undefined) throw new TemplateError("missing parameter for attribute name");
    const [name, ...rest] = others;
    const test = name === undefined ? truthy : byName(str(name, rendering), rest, rendering);
    const get = getter(attribute, rendering);
    return new Lazy(iterate(value).filter((one) => test(get(one)) === wanted));
  };
}

const symbols: Readonly<Record<string, string>> = { "==": "eq", "!=": "ne", ">": "gt", ">=": "ge", "<": "lt", "<=": "le" };

function byName(name: string, rest: readonly Value[], rendering: Rendering): (value: Value) => boolean {
  const test = testNamed(symbols[name] ?? name);
  return (value) => test(value, rest, rendering);
}

function mapping(filterNamed: (name: string) => Filter): Filter {
  return (value, { positional, named }, rendering) => {
    const [name, ...rest] = positional;
    if (name === undefined) {
      const { attribute, default: otherwise } = bind("map", { positional: [], named }, ["attribute", "default"], 1);
      return new Lazy(iterate(value).map(getter(attribute, rendering, otherwise)));
    }
    const filter = filterNamed(str(name, rendering));
    return new Lazy(iterate(value).map((one) => filter(one, { positional: rest, named }, rendering)));
  };
}

function dictSorted(value: Value, input: Arguments): Value {
  const { case_sensitive: sensitive, by = "key", reverse } = bind("dictsort", input, ["case_sensitive", "by", "reverse"]);
  if (!(value instanceof Map)) throw new TemplateError("dictsort sorts a dict");
  if (by !== "key" && by !== "value") throw new TemplateError('You can only sort by either "key" or "value"');
  const get: Getter = (pair) => (pair instanceof Tuple ? pair.items[by === "key" ? 0 : 1] : undefined);
  return sorted(dictItems(value), keyOf(get, sensitive), reverse);
}

/** `filterNamed` finds any filter, as `map` applies others. */
export const sequenceFilters = (filterNamed: (name: string) => Filter): Readonly<Record<string, Filter>> => ({
  dictsort: dictSorted,
  join: (value, input, rendering) => {
    const { d = "", attribute } = bind("join", input, ["d", "attribute"]);
    const texts = iterate(value).map(getter(attribute, rendering));
    return texts.map((one) => str(one, rendering)).join(str(d, rendering));
  },
  map: mapping(filterNamed),
  max: extreme("max", 1),
  min: extreme("min", -1),
  reject: selecting(false, false),
  rejectattr: selecting(true, false),
  select: selecting(false, true),
  selectattr: selecting(true, true),
  sort: (value, input, rendering) => {
    const { reverse, case_sensitive: sensitive, attribute } = bind("sort", input, ["reverse", "case_sensitive", "attribute"]);
    if (typeof attribute !== "string" || !attribute.includes(","))
      return sorted(iterate(value), keyOf(getter(attribute, rendering), sensitive), reverse);
    const keys = attribute.split(",").map((one) => keyOf(getter(one, rendering), sensitive));
    return sorted(iterate(value), (one) => keys.map((key) => key(one)), reverse);
  },
  sum: (value, input, rendering) => {
    const { attribute, start = 0 } = bind("sum", input, ["attribute", "start"]);
    const add = operators["+"];
    return iterate(value)
      .map(getter(attribute, rendering))
      .reduce((total, one) => add?.(total, one, rendering), start);
  },
  unique: (value, input, rendering) => {
    const { case_sensitive: sensitive, attribute } = bind("unique", input, ["case_sensitive", "attribute"]);
    const key = keyOf(getter(attribute, rendering), sensitive);
    const found: { readonly value: Value; readonly key: Value }[] = [];
    for (const one of iterate(value)) {
      const own = key(one);
      if (!found.some((before) => equals(before.key, own))) found.push({ value: one, key: own });
    }
    return new Lazy(found.map((one) => one.value));
  },
});
