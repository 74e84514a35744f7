/** The nodes that `@huggingface/jinja` parses, of which it declares the names but exports no types. */

export type Node =
  | { readonly type: "If"; readonly test: Node; readonly body: readonly Node[]; readonly alternate: readonly Node[] }
  | {
      readonly type: "For";
      readonly loopvar: Node;
      readonly iterable: Node;
      readonly body: readonly Node[];
      readonly defaultBlock: readonly Node[];
    }
  | { readonly type: "Set"; readonly assignee: Node; readonly value: Node | null; readonly body: readonly Node[] }
  | { readonly type: "Macro"; readonly name: IdentifierNode; readonly args: readonly Node[]; readonly body: readonly Node[] }
  | { readonly type: "CallStatement"; readonly call: CallNode; readonly callerArgs: readonly Node[] | null; readonly body: readonly Node[] }
  | { readonly type: "FilterStatement"; readonly filter: FilterNode; readonly body: readonly Node[] }
  | { readonly type: "Break" | "Continue" | "Comment" }
  | IdentifierNode
  | CallNode
  | MemberNode
  | { readonly type: "IntegerLiteral" | "FloatLiteral"; readonly value: number }
  | { readonly type: "StringLiteral"; readonly value: string }
  | { readonly type: "ArrayLiteral" | "TupleLiteral"; readonly value: readonly Node[] }
  | { readonly type: "ObjectLiteral"; readonly value: ReadonlyMap<Node, Node> }
  | BinaryNode
  | { readonly type: "UnaryExpression"; readonly operator: { readonly value: string }; readonly argument: Node }
  | FilterExpressionNode
  | { readonly type: "SelectExpression"; readonly lhs: Node; readonly test: Node }
  | { readonly type: "Ternary"; readonly condition: Node; readonly trueExpr: Node; readonly falseExpr: Node }
  | SliceNode
  | { readonly type: "KeywordArgumentExpression"; readonly key: IdentifierNode; readonly value: Node }
  | { readonly type: "SpreadExpression" | "KeywordSpreadExpression"; readonly argument: Node };

export interface IdentifierNode {
  readonly type: "Identifier";
  readonly value: string;
}

export interface CallNode {
  readonly type: "CallExpression";
  readonly callee: Node;
  readonly args: readonly Node[];
}

export interface MemberNode {
  readonly type: "MemberExpression";
  readonly object: Node;
  readonly property: Node;
  readonly computed: boolean;
}

export interface BinaryNode {
  readonly type: "BinaryExpression";
  readonly operator: { readonly value: string };
  readonly left: Node;
  readonly right: Node;
}

export interface SliceNode {
  readonly type: "SliceExpression";
  readonly start?: Node;
  readonly stop?: Node;
  readonly step?: Node;
}

export type FilterNode = IdentifierNode | CallNode;

export interface FilterExpressionNode {
  readonly type: "FilterExpression";
  readonly operand: Node;
  readonly filter: FilterNode;
}

/** Whether the name is read or set anywhere below the nodes. */
export function mentions(nodes: unknown, name: string): boolean {
  if (Array.isArray(nodes)) return nodes.some((node) => mentions(node, name));
  if (nodes instanceof Map) return mentions([...nodes.keys(), ...nodes.values()], name);
  if (typeof nodes !== "object" || nodes === null) return false;
  if ("type" in nodes && nodes.type === "Identifier" && "value" in nodes && nodes.value === name) return true;
  return Object.values(nodes).some((child) => mentions(child, name));
}
