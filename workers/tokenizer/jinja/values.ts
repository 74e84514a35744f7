/**
 * Python's values, as Jinja2's templates compute with them. `@huggingface/jinja` 0.5.11 parses templates; what it computes differs from
 * Python in printing, comparing, slicing, methods, filters and scopes, so nothing of its interpreter is used.
 */

/** `number` is an int, and so is a `bigint`, which a double does not hold and which is printed as it is. undefined is Jinja's Undefined. */
export type Value =
  undefined | null | boolean | number | bigint | string | Float | readonly Value[] | Tuple | Dict | Namespace | View | Lazy | Callable;
export type Dict = Map<string | number, Value>;
export type Callable = (input: Arguments) => Value;
export type Filter = (value: Value, input: Arguments, rendering: Rendering) => Value;

export interface Arguments {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

/** What a template is rendered with besides its variables. */
export interface Rendering {
  /** Characters that are taken out of the text again, so that nothing may escape them. */
  readonly verbatim: string;
}

/** A template does what Python would refuse, or what is not served. */
export class TemplateError extends Error {
  override readonly name: string = "TemplateError";
}

export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export class Tuple {
  readonly items: readonly Value[];
  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

export class Namespace {
  readonly attributes: Map<string, Value>;
  constructor(attributes: Map<string, Value>) {
    this.attributes = attributes;
  }
}

/** A sequence that Python prints by its name: a dict's items, a range. */
export class View {
  readonly printed: string;
  readonly items: readonly Value[];
  constructor(printed: string, items: readonly Value[]) {
    this.printed = printed;
    this.items = items;
  }
}

/** A generator: always true, without a length, and read once. */
export class Lazy {
  #items: readonly Value[];
  constructor(items: readonly Value[]) {
    this.#items = items;
  }
  take(): readonly Value[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }
  next(): Value {
    const [first, ...rest] = this.#items;
    this.#items = rest;
    return first;
  }
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** An int, float or bool as a number. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "boolean" || typeof value === "bigint") return Number(value);
  return value instanceof Float ? value.value : undefined;
}

export function int(value: number): number {
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  throw new TemplateError(`an integer beyond 2**53 is not served; it is ${String(value)}`);
}

export function typeName(value: Value): string {
  if (value === undefined) return "Undefined";
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number" || typeof value === "bigint") return "int";
  if (typeof value === "string") return "str";
  if (typeof value === "function") return "function";
  if (value instanceof Float) return "float";
  if (isList(value)) return "list";
  if (value instanceof Tuple) return "tuple";
  if (value instanceof Map) return "dict";
  if (value instanceof Namespace) return "Namespace";
  return value instanceof View ? (value.printed.split("(")[0] ?? "") : "generator";
}

export function truthy(value: Value): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === "object") {
    if (value instanceof Float) return value.value !== 0;
    if (value instanceof Map) return value.size > 0;
    if (value instanceof Namespace || value instanceof Lazy) return true;
    return sequence(value)?.length !== 0;
  }
  return Boolean(value);
}

/** The items of what has a length and an order: a list, a tuple or a view. */
export function sequence(value: Value): readonly Value[] | undefined {
  if (isList(value)) return value;
  return value instanceof Tuple || value instanceof View ? value.items : undefined;
}

/** What a loop over the value visits. */
export function iterate(value: Value): readonly Value[] {
  const items = sequence(value);
  if (items) return items;
  if (value === undefined) return [];
  if (typeof value === "string") return characters(value);
  if (value instanceof Map) return [...value.keys()];
  if (value instanceof Lazy) return value.take();
  throw new TemplateError(`'${typeName(value)}' object is not iterable`);
}

/** Python's strings are code points. */
export function characters(text: string): string[] {
  return Array.from(text);
}

export function lengthOf(value: Value): number {
  if (typeof value === "string") return /[\ud800-\udbff]/.test(value) ? characters(value).length : value.length;
  if (value instanceof Map) return value.size;
  if (value === undefined) return 0;
  const items = sequence(value);
  if (items) return items.length;
  throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
}

/** Of what JSON holds; a whole number is an int, where a double holds all of its digits or it comes as a `bigint`. */
export function fromJson(value: unknown): Value {
  if (typeof value === "number") return Number.isSafeInteger(value) ? int(value) : new Float(value);
  if (value === undefined || value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "bigint") return value;
  if (typeof value === "function") return value as Callable;
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value === "object") return new Map(Object.entries(value).map(([key, one]) => [key, fromJson(one)]));
  throw new TemplateError(`a ${typeof value} is no value of a template`);
}

/** A function's arguments by name; `required` come first. */
export function bind<Name extends string>(
  called: string,
  { positional, named }: Arguments,
  names: readonly Name[],
  required = 0,
): Partial<Record<Name, Value>> {
  if (positional.length > names.length)
    throw new TemplateError(`${called}() takes at most ${String(names.length)} arguments; it has ${String(positional.length)}`);
  const bound: Partial<Record<string, Value>> = {};
  for (const [at, value] of positional.entries()) bound[names[at] ?? ""] = value;
  for (const [name, value] of named) {
    if (!(names as readonly string[]).includes(name) || Object.hasOwn(bound, name))
      throw new TemplateError(`${called}() got an unexpected argument '${name}'`);
    bound[name] = value;
  }
  for (const name of names.slice(0, required))
    if (!Object.hasOwn(bound, name)) throw new TemplateError(`${called}() lacks its argument '${name}'`);
  return bound;
}

export function textArgument(called: string, value: Value): string {
  if (typeof value === "string") return value;
  throw new TemplateError(`${called} takes a str, not ${typeName(value)}`);
}

export function intArgument(called: string, value: Value): number {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return Number(value);
  throw new TemplateError(`${called} takes an int, not ${typeName(value)}`);
}
