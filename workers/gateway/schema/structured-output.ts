/** What an answer's text must be, in OpenAI's words (`response_format`) and in vLLM's (`structured_outputs`). */
import * as z from "zod";
import { parseExact } from "../../encoding/exact-json.ts";
import { mostChoices } from "../../contracts/constraint.ts";
import { isAbsent, onWire, unsupported } from "./parse.ts";

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Not read any further here: what of JSON schemas is understood, the grammar Worker says. */
const schema = onWire(
  z.custom<Readonly<Record<string, unknown>>>(isObject, "must be a JSON schema (an object)"),
  z.record(z.string(), z.unknown()),
);

const jsonSchema = z.strictObject({
  name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, { error: "must be 1 to 64 letters, digits, '_' or '-'" }),
  description: z.string().nullish(),
  schema: schema.nullish(),
  strict: z.boolean().nullish(),
});

/** The same as responses have it, without a field of its own. */
export const textFormat = z
  .discriminatedUnion("type", [
    z.strictObject({ type: z.literal("text") }),
    z.strictObject({ type: z.literal("json_object") }),
    jsonSchema.extend({ type: z.literal("json_schema"), schema }),
  ])
  .nullish();

/** The same as Anthropic has it. */
export const outputFormat = z.strictObject({ type: z.literal("json_schema"), schema }).nullish();

/** A response's format under the name that the rest of the gateway has for it. */
export function asResponseFormat(format: z.output<typeof textFormat>): z.output<typeof responseFormat> {
  if (isAbsent(format) || format.type !== "json_schema") return format;
  const { type, ...described } = format;
  return { type, json_schema: described };
}

export const responseFormat = z
  .discriminatedUnion("type", [
    z.strictObject({ type: z.literal("text") }),
    z.strictObject({ type: z.literal("json_object") }),
    z.strictObject({ type: z.literal("json_schema"), json_schema: jsonSchema }),
  ])
  .nullish();

/** As an object, or as its text. */
const schemaOrText = onWire(
  z.unknown().transform((value, context): Readonly<Record<string, unknown>> | boolean | null => {
    if (isAbsent(value)) return null;
    const read = typeof value === "string" ? parsed(value) : value;
    if (isObject(read) || typeof read === "boolean") return read;
    context.addIssue({ code: "custom", message: "must be a JSON schema, as an object or as text" });
    return null;
  }),
  z.union([z.record(z.string(), z.unknown()), z.boolean(), z.string()]),
);

function parsed(text: string): unknown {
  try {
    return parseExact(text);
  } catch {
    return undefined;
  }
}

const kinds = ["json", "regex", "choice", "grammar", "json_object"] as const;

export const structuredOutputs = z
  .strictObject({
    json: schemaOrText.optional(),
    regex: z.string().min(1).nullish(),
    choice: z.array(z.string().min(1)).min(1).max(mostChoices).nullish(),
    /** In llguidance's form of Lark. */
    grammar: z.string().min(1).nullish(),
    json_object: z.boolean().nullish(),
    structural_tag: unsupported(),
    whitespace_pattern: unsupported(),
    /** No white space comes between values. */
    disable_any_whitespace: unsupported((value) => value === true),
    disable_additional_properties: unsupported((value) => value === false),
    disable_fallback: z.boolean().nullish(),
  })
  .refine((asked) => kinds.filter((kind) => !isAbsent(asked[kind]) && asked[kind] !== false).length === 1 || asked.json === false, {
    message: `must have exactly one of ${kinds.join(", ")}`,
  })
  .nullish();
