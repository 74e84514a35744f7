/**
 * A small model that is held to a schema and does not know it writes what fits and means nothing. Where a request has a `response_format` with a
 * schema, the prompt therefore says so, at the end of its system message, or in one of its own.
 */
import type { TranscriptMessage } from "../../contracts/transcript.ts";
import type { GenerationFields } from "../schema/generation-fields.ts";
import { isAbsent } from "../schema/parse.ts";

/** Messages as the model reads them. */
export function withSchemaTold(
  messages: readonly TranscriptMessage[],
  format: GenerationFields["response_format"],
): readonly TranscriptMessage[] {
  if (isAbsent(format) || format.type !== "json_schema" || isAbsent(format.json_schema.schema)) return messages;
  const { description, schema } = format.json_schema;
  const lines = ["Answer with JSON that fits this schema:", JSON.stringify(schema), ...(isAbsent(description) ? [] : [description])];
  const told = lines.join("\n");
  const [first, ...rest] = messages;
  return first?.role === "system"
    ? [{ ...first, content: `${first.content}\n\n${told}` }, ...rest]
    : [{ role: "system", content: told }, ...messages];
}
