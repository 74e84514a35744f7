/** `for`, with its `loop`. */
import { compileExpression } from "./expressions.ts";
import { equals } from "./operators.ts";
import type { Scope } from "./scope.ts";
import type { CompileBody, Statement } from "./statement.ts";
import { compileTarget } from "./target.ts";
import type { Node } from "./tree.ts";
import { type Callable, iterate, Namespace, TemplateError, truthy, Tuple, type Value } from "./values.ts";

export function compileFor(node: Extract<Node, { type: "For" }>, compileBody: CompileBody): Statement {
  const { iterable } = node;
  const [source, condition] = iterable.type === "SelectExpression" ? [iterable.lhs, iterable.test] : [iterable, undefined];
  const items = compileExpression(source);
  const test = condition && compileExpression(condition);
  const assign = compileTarget(node.loopvar);
  const [body, otherwise] = [compileBody(node.body), compileBody(node.defaultBlock)];

  const holds = (scope: Scope, value: Value): boolean => {
    if (!test) return true;
    const inner = scope.inner();
    assign(inner, value);
    return truthy(test(inner));
  };

  return (scope, output) => {
    const visited = iterate(items(scope)).filter((value) => holds(scope, value));
    const changed = changes();
    let completed = false;
    for (const [index, value] of visited.entries()) {
      const inner = scope.inner();
      inner.set("loop", loopOf(visited, index, changed));
      assign(inner, value);
      const signal = body(inner, output);
      if (signal === "break") break;
      if (signal === undefined) completed = true;
    }
    // In Jinja2 a loop of which no iteration came to its end goes on to its `else`.
    return completed ? undefined : otherwise(scope.inner(), output);
  };
}

function loopOf(items: readonly Value[], index: number, changed: Callable): Namespace {
  const { length } = items;
  return new Namespace(
    new Map<string, Value>([
      ["index", index + 1],
      ["index0", index],
      ["revindex", length - index],
      ["revindex0", length - index - 1],
      ["first", index === 0],
      ["last", index === length - 1],
      ["length", length],
      ["depth", 1],
      ["depth0", 0],
      ["previtem", items[index - 1]],
      ["nextitem", items[index + 1]],
      ["changed", changed],
      ["cycle", cycle(index)],
    ]),
  );
}

function cycle(index: number): Callable {
  return ({ positional }) => {
    if (positional.length === 0) throw new TemplateError("no items for cycling given");
    return positional[index % positional.length];
  };
}

/** Whether the arguments differ from those of the call before. */
function changes(): Callable {
  let before: Value;
  return ({ positional }) => {
    const now = new Tuple(positional);
    const isNew = !equals(before, now);
    before = now;
    return isNew;
  };
}
