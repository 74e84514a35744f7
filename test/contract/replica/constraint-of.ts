/** A constraint as the contract has it, of what a replica was sent. */
import type { Constraint } from "../../../workers/contracts/constraint.ts";
import type { StructuredOutputs } from "../../../workers/pool/backends/structured-outputs.ts";

export function constraintOf(fields: StructuredOutputs): Constraint {
  if (fields.json !== undefined) return { kind: "json_schema", text: fields.json };
  if (fields.json_object !== undefined) return { kind: "json_object", text: "" };
  if (fields.regex !== undefined) return { kind: "regex", text: fields.regex };
  if (fields.choice !== undefined) return { kind: "choice", text: JSON.stringify(fields.choice) };
  return { kind: "lark", text: fields.grammar ?? "" };
}
