/** A constraint in vLLM's words: `structured_outputs` of its sampling parameters, which our replicas hold to by the same library as the engine. */
import type { Constraint } from "../../contracts/constraint.ts";

/** One of them. */
export interface StructuredOutputs {
  /** A JSON schema's text. */
  readonly json?: string;
  readonly json_object?: true;
  readonly regex?: string;
  readonly choice?: readonly string[];
  readonly grammar?: string;
}

export function structuredOutputs({ kind, text }: Constraint): StructuredOutputs {
  switch (kind) {
    case "json_schema":
      return { json: text };
    case "json_object":
      return { json_object: true };
    case "regex":
      return { regex: text };
    case "choice":
      return { choice: JSON.parse(text) as string[] };
    case "lark":
      return { grammar: text };
  }
}
