/** Expressions of the syntax tree as functions of a scope. What Jinja2 would do otherwise, and what is not served, is refused here, by name. */
import { attribute, item, slice } from "./members.ts";
import { operators } from "./operators.ts";
import { notTestPrefix, testPrefix } from "./parsing.ts";
import { filterNamed } from "./filters.ts";
import type { Scope } from "./scope.ts";
import { testNamed } from "./tests.ts";
import { unservedTextMethods } from "./text-methods.ts";
import type { BinaryNode, CallNode, FilterNode, MemberNode, Node } from "./tree.ts";
import { type Arguments, Float, int, iterate, numberOf, TemplateError, truthy, Tuple, typeName, type Value } from "./values.ts";

export type Expression = (scope: Scope) => Value;

const constants: Readonly<Record<string, Value>> = { true: true, True: true, false: false, False: false, none: null, None: null };
/** Of Jinja2's own, beside those that `template.ts` gives. */
const unservedGlobals = new Set(["cycler", "joiner", "lipsum"]);
const noArguments: (scope: Scope) => Arguments = () => ({ positional: [], named: new Map() });

export function compileExpression(node: Node | undefined): Expression {
  if (node === undefined) return () => undefined;
  // eslint-disable-next-line @typescript-eslint/switch-exhaustiveness-check -- the parser has more nodes than stand here
  switch (node.type) {
    case "StringLiteral":
      return constant(node.value);
    case "IntegerLiteral":
      return constant(int(node.value));
    case "FloatLiteral":
      return constant(new Float(node.value));
    case "ArrayLiteral": {
      const items = node.value.map(compileExpression);
      return (scope) => items.map((one) => one(scope));
    }
    case "TupleLiteral": {
      const items = node.value.map(compileExpression);
      return (scope) => new Tuple(items.map((one) => one(scope)));
    }
    case "ObjectLiteral":
      return dictLiteral(node.value);
    case "Identifier":
      return name(node.value);
    case "MemberExpression":
      return member(node);
    case "CallExpression":
      return call(node);
    case "BinaryExpression":
      return binary(node);
    case "UnaryExpression":
      return unary(node.operator.value, compileExpression(node.argument));
    case "FilterExpression": {
      const operand = compileExpression(node.operand);
      const apply = compileFilter(node.filter);
      return (scope) => apply(operand(scope), scope);
    }
    case "SelectExpression":
      return choice(node.test, node.lhs, undefined);
    case "Ternary":
      return choice(node.condition, node.trueExpr, node.falseExpr);
    default:
      throw new TemplateError(`a ${node.type} is not served here`);
  }
}

const constant = (value: Value): Expression => {
  return () => value;
};

function name(text: string): Expression {
  if (Object.hasOwn(constants, text)) return constant(constants[text]);
  if (unservedGlobals.has(text)) throw new TemplateError(`the function '${text}' is not served`);
  return (scope) => scope.get(text);
}

function dictLiteral(entries: ReadonlyMap<Node, Node>): Expression {
  const pairs = [...entries].map(([key, value]) => [compileExpression(key), compileExpression(value)] as const);
  return (scope) =>
    new Map(
      pairs.map(([key, value]) => {
        const made = key(scope);
        if (typeof made !== "string" && typeof made !== "number")
          throw new TemplateError(`a dict's key of the type ${typeName(made)} is not served`);
        return [made, value(scope)] as const;
      }),
    );
}

function member({ object: from, property, computed }: MemberNode): Expression {
  const object = compileExpression(from);
  if (property.type === "SliceExpression") {
    const [start, stop, step] = [property.start, property.stop, property.step].map((one) => compileExpression(one));
    return (scope) => slice(object(scope), start?.(scope), stop?.(scope), step?.(scope));
  }
  if (!computed && property.type === "Identifier") {
    const own = property.value;
    return (scope) => attribute(object(scope), own, scope.rendering);
  }
  const key = compileExpression(property);
  return (scope) => item(object(scope), key(scope), scope.rendering);
}

function call(node: CallNode): Expression {
  const { callee } = node;
  if (callee.type === "MemberExpression" && callee.property.type === "Identifier" && unservedTextMethods.has(callee.property.value))
    throw new TemplateError(`the method '${callee.property.value}' of a str is not served`);
  const called = compileExpression(callee);
  const input = compileArguments(node.args);
  return (scope) => {
    const target = called(scope);
    if (typeof target === "function") return target(input(scope));
    throw new TemplateError(`'${callee.type === "Identifier" ? callee.value : typeName(target)}' is not callable`);
  };
}

export function compileArguments(nodes: readonly Node[]): (scope: Scope) => Arguments {
  if (nodes.length === 0) return noArguments;
  const steps = nodes.map(compileArgument);
  return (scope) => {
    const [positional, named] = [[] as Value[], new Map<string, Value>()];
    for (const step of steps) step(scope, positional, named);
    return { positional, named };
  };
}

function compileArgument(node: Node): (scope: Scope, positional: Value[], named: Map<string, Value>) => void {
  if (node.type === "KeywordArgumentExpression") {
    const value = compileExpression(node.value);
    return (scope, _, named) => named.set(node.key.value, value(scope));
  }
  const value = compileExpression(node.type === "SpreadExpression" || node.type === "KeywordSpreadExpression" ? node.argument : node);
  if (node.type === "SpreadExpression") return (scope, positional) => positional.push(...iterate(value(scope)));
  if (node.type !== "KeywordSpreadExpression") return (scope, positional) => positional.push(value(scope));
  return (scope, _, named) => {
    const given = value(scope);
    if (!(given instanceof Map)) throw new TemplateError("argument after ** must be a mapping");
    for (const [key, one] of given) named.set(String(key), one);
  };
}

function binary({ operator: { value: operator }, left, right }: BinaryNode): Expression {
  const [one, other] = [compileExpression(left), compileExpression(right)];
  if (operator === "and" || operator === "or") {
    return (scope) => {
      const value = one(scope);
      return truthy(value) === (operator === "or") ? value : other(scope);
    };
  }
  const compute = Object.hasOwn(operators, operator) ? operators[operator] : undefined;
  if (!compute) throw new TemplateError(`the operator '${operator}' is not served`);
  return (scope) => compute(one(scope), other(scope), scope.rendering);
}

function unary(operator: string, argument: Expression): Expression {
  if (operator === "not") return (scope) => !truthy(argument(scope));
  const sign = operator === "-" ? -1 : 1;
  return (scope) => {
    const value = argument(scope);
    const number = numberOf(value);
    if (number === undefined) throw new TemplateError(`bad operand type for unary ${operator}: '${typeName(value)}'`);
    return value instanceof Float ? new Float(sign * number) : int(sign * number);
  };
}

function choice(condition: Node, whenTrue: Node, whenFalse: Node | undefined): Expression {
  const [test, one, other] = [compileExpression(condition), compileExpression(whenTrue), compileExpression(whenFalse)];
  return (scope) => (truthy(test(scope)) ? one(scope) : other(scope));
}

/** A filter, or a test that was parsed as one. */
export function compileFilter(node: FilterNode): (value: Value, scope: Scope) => Value {
  const named = node.type === "Identifier" ? node : node.callee;
  if (named.type !== "Identifier") throw new TemplateError("a filter's value can't be called");
  const input = node.type === "Identifier" ? noArguments : compileArguments(node.args);
  for (const [prefix, wanted] of [[notTestPrefix, false] as const, [testPrefix, true] as const]) {
    if (!named.value.startsWith(prefix)) continue;
    const test = testNamed(named.value.slice(prefix.length));
    return (value, scope) => test(value, input(scope).positional, scope.rendering) === wanted;
  }
  const filter = filterNamed(named.value);
  return (value, scope) => filter(value, input(scope), scope.rendering);
}
