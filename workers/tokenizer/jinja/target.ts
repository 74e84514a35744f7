/** What values are assigned to. */
import type { Scope } from "./scope.ts";
import type { Node } from "./tree.ts";
import { iterate, Namespace, TemplateError, type Value } from "./values.ts";

/** A name, several names, or a namespace's attribute. */
export function compileTarget(node: Node): (scope: Scope, value: Value) => void {
  if (node.type === "Identifier") {
    return (scope, value) => {
      scope.set(node.value, value);
    };
  }
  if (node.type === "TupleLiteral") {
    const targets = node.value.map(compileTarget);
    return (scope, value) => {
      const items = iterate(value);
      if (items.length !== targets.length)
        throw new TemplateError(`${String(items.length)} values are unpacked into ${String(targets.length)} names`);
      for (const [at, assign] of targets.entries()) assign(scope, items[at]);
    };
  }
  if (node.type === "MemberExpression" && !node.computed && node.object.type === "Identifier" && node.property.type === "Identifier") {
    const { object, property } = node;
    if (property.value.startsWith("_")) throw new TemplateError(`a namespace has no attribute '${property.value}'`);
    return (scope, value) => {
      const namespace = scope.get(object.value);
      if (!(namespace instanceof Namespace)) throw new TemplateError("cannot assign attribute on non-namespace object");
      namespace.attributes.set(property.value, value);
    };
  }
  throw new TemplateError(`a ${node.type} can't be set`);
}
