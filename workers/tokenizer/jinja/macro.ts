/** `macro` and the body of `call`: functions that see where they were written. */
import { compileExpression } from "./expressions.ts";
import type { Scope } from "./scope.ts";
import type { CompileBody } from "./statement.ts";
import { mentions, type Node } from "./tree.ts";
import { type Callable, TemplateError, Tuple, type Value } from "./values.ts";

interface Parameter {
  readonly name: string;
  readonly value: ((scope: Scope) => Value) | undefined;
}

export function compileMacro(
  name: string,
  args: readonly Node[],
  body: readonly Node[],
  compileBody: CompileBody,
): (scope: Scope) => Callable {
  const parameters = args.map(parameterOf);
  const names = new Set(parameters.map((parameter) => parameter.name));
  const takes = (special: string): boolean => !names.has(special) && mentions(body, special);
  const [takesMore, takesNamed, takesCaller] = [takes("varargs"), takes("kwargs"), takes("caller")];
  const write = compileBody(body);

  return (scope) =>
    ({ positional, named }) => {
      const inner = scope.inner();
      const rest = new Map(named);
      for (const [at, parameter] of parameters.entries()) {
        const isGiven = at < positional.length || rest.has(parameter.name);
        if (at < positional.length && rest.has(parameter.name))
          throw new TemplateError(`macro '${name}' got multiple values for argument '${parameter.name}'`);
        const given = at < positional.length ? positional[at] : rest.get(parameter.name);
        rest.delete(parameter.name);
        inner.set(parameter.name, isGiven ? given : parameter.value?.(inner));
      }
      if (takesCaller) inner.set("caller", rest.get("caller"));
      const hasCaller = rest.delete("caller");
      if (hasCaller && !takesCaller && !takesNamed)
        throw new TemplateError(`macro '${name}' was invoked with two values for the special caller argument`);
      const extra = positional.slice(parameters.length);
      if (takesMore) inner.set("varargs", new Tuple(extra));
      else if (extra.length > 0) throw new TemplateError(`macro '${name}' takes not more than ${String(parameters.length)} argument(s)`);
      if (takesNamed) inner.set("kwargs", rest);
      else if (rest.size > 0) throw new TemplateError(`macro '${name}' takes no keyword argument '${[...rest.keys()].join("', '")}'`);
      const output = { text: "" };
      write(inner, output);
      return output.text;
    };
}

function parameterOf(node: Node): Parameter {
  if (node.type === "Identifier") return { name: node.value, value: undefined };
  if (node.type === "KeywordArgumentExpression") return { name: node.key.value, value: compileExpression(node.value) };
  throw new TemplateError(`a macro's parameter can't be a ${node.type}`);
}
