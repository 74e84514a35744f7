/** Python's operators. */
import { str } from "./printing.ts";
import {
  Float,
  int,
  isList,
  iterate,
  Lazy,
  numberOf,
  type Rendering,
  sequence,
  TemplateError,
  Tuple,
  typeName,
  type Value,
} from "./values.ts";

export type Operator = (left: Value, right: Value, rendering: Rendering) => Value;

export const operators: Readonly<Record<string, Operator>> = {
  "+": add,
  "-": arithmetic("-", (left, right) => left - right),
  "*": multiply,
  "/": divide("/", (left, right) => left / right, true),
  "//": divide("//", (left, right) => Math.floor(left / right), false),
  "%": (left, right) => {
    if (typeof left === "string") throw new TemplateError("formatting a str with % is not served");
    return divide("%", (one, other) => one - Math.floor(one / other) * other, false)(left, right);
  },
  "**": power,
  "~": (left, right, rendering) => str(left, rendering) + str(right, rendering),
  "==": (left, right) => equals(left, right),
  "!=": (left, right) => !equals(left, right),
  "<": (left, right) => compare(left, right) < 0,
  ">": (left, right) => compare(left, right) > 0,
  "<=": (left, right) => compare(left, right) <= 0,
  ">=": (left, right) => compare(left, right) >= 0,
  in: (left, right) => contains(right, left),
  "not in": (left, right) => !contains(right, left),
};

function unsupported(operator: string, left: Value, right: Value): TemplateError {
  if (left === undefined || right === undefined) return new TemplateError(`an undefined value has no ${operator}`);
  return new TemplateError(`unsupported operand type(s) for ${operator}: '${typeName(left)}' and '${typeName(right)}'`);
}

function arithmetic(operator: string, compute: (left: number, right: number) => number): (left: Value, right: Value) => Value {
  return (left, right) => {
    const [one, other] = [numberOf(left), numberOf(right)];
    if (one === undefined || other === undefined) throw unsupported(operator, left, right);
    const result = compute(one, other);
    return left instanceof Float || right instanceof Float ? new Float(result) : int(result);
  };
}

function divide(
  operator: string,
  compute: (left: number, right: number) => number,
  isFloat: boolean,
): (left: Value, right: Value) => Value {
  return (left, right) => {
    if (numberOf(right) === 0 && numberOf(left) !== undefined) throw new TemplateError("division by zero");
    if (!isFloat) return arithmetic(operator, compute)(left, right);
    const [one, other] = [numberOf(left), numberOf(right)];
    if (one === undefined || other === undefined) throw unsupported(operator, left, right);
    return new Float(compute(one, other));
  };
}

function power(left: Value, right: Value): Value {
  const [one, other] = [numberOf(left), numberOf(right)];
  if (one === undefined || other === undefined) throw unsupported("**", left, right);
  const result = one ** other;
  if (!Number.isFinite(result)) throw new TemplateError(`${String(one)} ** ${String(other)} is not a finite real number`);
  return left instanceof Float || right instanceof Float || other < 0 ? new Float(result) : int(result);
}

function add(left: Value, right: Value): Value {
  if (typeof left === "string" && typeof right === "string") return left + right;
  if (isList(left) && isList(right)) return [...left, ...right];
  if (left instanceof Tuple && right instanceof Tuple) return new Tuple([...left.items, ...right.items]);
  return arithmetic("+", (one, other) => one + other)(left, right);
}

/** More can only be meant to exhaust the Worker. */
const longestRepetition = 1 << 20;

function multiply(left: Value, right: Value): Value {
  if (typeof left === "number" && typeof right !== "number" && numberOf(right) === undefined) return multiply(right, left);
  if (typeof right === "number" && (typeof left === "string" || isList(left) || left instanceof Tuple)) {
    const count = Math.max(0, right);
    const items = typeof left === "string" ? left : (sequence(left) ?? []);
    if (count * items.length > longestRepetition) throw new TemplateError(`a repetition of ${String(count * items.length)} is too long`);
    if (typeof items === "string") return items.repeat(count);
    const repeated = Array.from({ length: count }, () => items).flat();
    return left instanceof Tuple ? new Tuple(repeated) : repeated;
  }
  return arithmetic("*", (one, other) => one * other)(left, right);
}

export function equals(left: Value, right: Value): boolean {
  if (left === right) return true;
  const number = numberOf(left);
  if (number !== undefined) return number === numberOf(right);
  if (left instanceof Map && right instanceof Map)
    return left.size === right.size && [...left].every(([key, value]) => right.has(key) && equals(value, right.get(key)));
  const [one, other] = isList(left) === isList(right) ? [sequence(left), sequence(right)] : [undefined, undefined];
  return one !== undefined && other?.length === one.length && one.every((item, at) => equals(item, other[at]));
}

/** Below, at or above 0. @throws TemplateError where Python does not order them. */
export function compare(left: Value, right: Value): number {
  if (typeof left === "string" && typeof right === "string") return compareTexts(left, right);
  const [one, other] = [numberOf(left), numberOf(right)];
  if (one !== undefined && other !== undefined) return one - other;
  const [items, others] = isList(left) === isList(right) ? [sequence(left), sequence(right)] : [undefined, undefined];
  if (items === undefined || others === undefined) throw unsupported("<", left, right);
  const at = items.findIndex((item, index) => index >= others.length || !equals(item, others[index]));
  if (at < 0) return items.length - others.length;
  return at < others.length ? compare(items[at], others[at]) : 1;
}

/** By code point, which UTF-16 units above the surrogates are not. */
function compareTexts(left: string, right: string): number {
  if (left === right) return 0;
  let at = 0;
  while (left[at] === right[at]) at++;
  const order = (text: string): number => {
    const unit = at < text.length ? text.charCodeAt(at) : -1;
    return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
  };
  return order(left) - order(right);
}

export function contains(container: Value, item: Value): boolean {
  if (typeof container === "string") {
    if (typeof item === "string") return container.includes(item);
    throw new TemplateError(`'in <string>' requires string as left operand, not ${typeName(item)}`);
  }
  if (container instanceof Map) return (typeof item === "string" || typeof item === "number") && container.has(item);
  if (container instanceof Lazy) throw new TemplateError("a generator is not searched as in Python; | list makes a list of it");
  return iterate(container).some((one) => equals(one, item));
}
