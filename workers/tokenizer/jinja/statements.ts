/** Statements of the syntax tree as functions that write text. */
import { compileArguments, compileExpression, compileFilter, type Expression } from "./expressions.ts";
import { compileFor } from "./loop.ts";
import { compileMacro } from "./macro.ts";
import { str } from "./printing.ts";
import type { Scope } from "./scope.ts";
import type { Statement } from "./statement.ts";
import { compileTarget } from "./target.ts";
import type { FilterNode, Node } from "./tree.ts";
import { TemplateError, truthy, type Value } from "./values.ts";

export function compileBody(nodes: readonly Node[]): Statement {
  const statements = nodes.filter(({ type }) => type !== "Comment").map(compileStatement);
  return (scope, output) => {
    for (const statement of statements) {
      const signal = statement(scope, output);
      if (signal !== undefined) return signal;
    }
    return undefined;
  };
}

/** A body's text, in a scope of its own. */
export function compileCapture(nodes: readonly Node[]): (scope: Scope) => string {
  const body = compileBody(nodes);
  return (scope) => {
    const output = { text: "" };
    body(scope.inner(), output);
    return output.text;
  };
}

function compileStatement(node: Node): Statement {
  // eslint-disable-next-line @typescript-eslint/switch-exhaustiveness-check -- the parser has more nodes than stand here
  switch (node.type) {
    case "If": {
      const test = compileExpression(node.test);
      const [body, alternate] = [compileBody(node.body), compileBody(node.alternate)];
      return (scope, output) => (truthy(test(scope)) ? body : alternate)(scope, output);
    }
    case "For":
      return compileFor(node, compileBody);
    case "Break":
      return () => "break";
    case "Continue":
      return () => "continue";
    case "Set":
      return compileSet(node.assignee, node.value, node.body);
    case "Macro": {
      const make = compileMacro(node.name.value, node.args, node.body, compileBody);
      return quiet((scope) => {
        scope.set(node.name.value, make(scope));
      });
    }
    case "CallStatement": {
      const [called, input] = [compileExpression(node.call.callee), compileArguments(node.call.args)];
      const caller = compileMacro("caller", node.callerArgs ?? [], node.body, compileBody);
      return writing((scope) => {
        const target = called(scope);
        if (typeof target !== "function") throw new TemplateError("a call block calls a macro");
        const { positional, named } = input(scope);
        return target({ positional, named: new Map([...named, ["caller", caller(scope)]]) });
      });
    }
    case "FilterStatement": {
      const [body, apply] = [compileCapture(node.body), compileFilter(node.filter)];
      return writing((scope) => apply(body(scope), scope));
    }
    case "FilterExpression":
      // What is marked safe differs only where it is computed with.
      return writing(compileExpression(isSafe(node.filter) ? node.operand : node));
    default:
      return writing(compileExpression(node));
  }
}

function isSafe(filter: FilterNode): boolean {
  return filter.type === "Identifier" && filter.value === "safe";
}

function writing(expression: Expression): Statement {
  return (scope, output) => {
    output.text += str(expression(scope), scope.rendering);
    return undefined;
  };
}

function quiet(work: (scope: Scope) => void): Statement {
  return (scope) => {
    work(scope);
    return undefined;
  };
}

function compileSet(assignee: Node, value: Node | null, body: readonly Node[]): Statement {
  if (value !== null) {
    const [assign, made] = [compileTarget(assignee), compileExpression(value)];
    return quiet((scope) => {
      assign(scope, made(scope));
    });
  }
  // `{% set name | filter %}` filters the block's text.
  const filters: ((value: Value, scope: Scope) => Value)[] = [];
  let target = assignee;
  for (; target.type === "FilterExpression"; target = target.operand) filters.unshift(compileFilter(target.filter));
  const [assign, captured] = [compileTarget(target), compileCapture(body)];
  return quiet((scope) => {
    assign(
      scope,
      filters.reduce<Value>((text, filter) => filter(text, scope), captured(scope)),
    );
  });
}
