/** Jinja2's tests: what stands behind `is`. */
import { compare, contains, equals } from "./operators.ts";
import { str } from "./printing.ts";
import { textMethods } from "./text-methods.ts";
import { Float, Lazy, numberOf, type Rendering, sequence, TemplateError, typeName, type Value } from "./values.ts";

export type Test = (value: Value, other: readonly Value[], rendering: Rendering) => boolean;

function remainder(value: Value, by: Value): number {
  const [one, other] = [numberOf(value), numberOf(by)];
  if (one === undefined || other === undefined) throw new TemplateError(`a ${typeName(value)} has no remainder`);
  if (other === 0) throw new TemplateError("division by zero");
  return one % other;
}

const isText = (name: "islower" | "isupper"): Test => {
  const method = textMethods[name];
  return (value, _, rendering) => method?.(str(value, rendering), { positional: [], named: new Map() }, rendering) === true;
};

const equal: Test = (value, [other]) => equals(value, other);
const unequal: Test = (value, [other]) => !equals(value, other);
const below: Test = (value, [other]) => compare(value, other) < 0;
const atMost: Test = (value, [other]) => compare(value, other) <= 0;
const above: Test = (value, [other]) => compare(value, other) > 0;
const atLeast: Test = (value, [other]) => compare(value, other) >= 0;

export const tests: Readonly<Record<string, Test>> = {
  boolean: (value) => typeof value === "boolean",
  callable: (value) => typeof value === "function",
  defined: (value) => value !== undefined,
  divisibleby: (value, [other]) => remainder(value, other) === 0,
  eq: equal,
  equalto: equal,
  even: (value) => remainder(value, 2) === 0,
  false: (value) => value === false,
  float: (value) => value instanceof Float,
  ge: atLeast,
  greaterthan: above,
  gt: above,
  in: (value, [other]) => contains(other, value),
  integer: (value) => typeof value === "number" || typeof value === "bigint",
  iterable: (value) =>
    value === undefined || typeof value === "string" || value instanceof Map || value instanceof Lazy || isSequence(value),
  le: atMost,
  lessthan: below,
  lower: isText("islower"),
  lt: below,
  mapping: (value) => value instanceof Map,
  ne: unequal,
  none: (value) => value === null,
  number: (value) => numberOf(value) !== undefined,
  odd: (value) => Math.abs(remainder(value, 2)) === 1,
  sameas: (value, [other]) => value === other,
  sequence: (value) => value === undefined || typeof value === "string" || value instanceof Map || isSequence(value),
  string: (value) => typeof value === "string",
  true: (value) => value === true,
  undefined: (value) => value === undefined,
  upper: isText("isupper"),
};

function isSequence(value: Value): boolean {
  return sequence(value) !== undefined;
}

export function testNamed(name: string): Test {
  const test = Object.hasOwn(tests, name) ? tests[name] : undefined;
  if (test) return test;
  throw new TemplateError(`the test '${name}' is not served`);
}
