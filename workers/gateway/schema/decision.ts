/** The body of `POST /v1/decisions`, as `resources/decisions` of the openai packages has it, with a session or a context in the place of the input. */
import * as z from "zod";
import { responseInput } from "./response-input.ts";
import { among, anyArray, asksNothing, isAbsent, refusedKind, unsupported } from "./parse.ts";

export const questionsLimit = 400;
const choicesLimit = 255;
const levelsLimit = 10;
const partsLimit = 64;
const textLimit = 32_768;

const isText = (value: unknown) => typeof value === "string";

/** What is done anyway. */
const isPlainCache = asksNothing({ ttl: isText, mode: among("implicit") });

const json = z.strictObject({
  type: z.literal("input_json"),
  data: z.union([z.record(z.string(), z.unknown()), z.array(z.record(z.string(), z.unknown()))]),
});

const part = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("input_text"), text: z.string() }),
  json,
  refusedKind("type", "input_image", "questions hold text and JSON only"),
]);

/** Parts are paragraphs of one text; JSON is read as it is written. */
const instructions = z
  .preprocess(
    (value) => (typeof value === "string" ? [{ type: "input_text", text: value }] : value),
    anyArray("must be a string or an array of parts").max(partsLimit),
  )
  .pipe(z.array(part))
  .transform((parts) => parts.map((one) => ("text" in one ? one.text : "data" in one ? JSON.stringify(one.data) : "")).join("\n"))
  .refine((text) => text.length <= textLimit, { error: `may have ${String(textLimit)} characters` });

const name = z.string().min(1).max(256).nullish();
const description = z.string().max(textLimit).nullish();

const areDifferent = (values: readonly unknown[]) => new Set(values).size === values.length;

const question = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("predicate"), name, instructions }),
  z.strictObject({
    type: z.literal("choice"),
    name,
    instructions,
    choices: z
      .array(z.strictObject({ value: z.union([z.string().min(1).max(textLimit), z.boolean()]), description }))
      .min(2)
      .max(choicesLimit)
      .refine((choices) => areDifferent(choices.map(({ value }) => value)), { error: "must have different values" }),
  }),
  z.strictObject({
    type: z.literal("score"),
    name,
    instructions,
    levels: z
      .array(z.strictObject({ label: z.string().min(1).max(textLimit), description }))
      .min(2)
      .max(levelsLimit)
      .refine((levels) => areDifferent(levels.map(({ label }) => label)), { error: "must have different labels" }),
  }),
]);

/** Parts of JSON are text to the model. */
function withJsonAsText(input: unknown): unknown {
  if (!Array.isArray(input)) return input;
  return input.map((item: unknown) => {
    if (typeof item !== "object" || item === null || !("content" in item) || !Array.isArray(item.content)) return item;
    const content = item.content.map((one: unknown) => {
      const parsed = json.safeParse(one);
      return parsed.success ? { type: "input_text", text: JSON.stringify(parsed.data.data) } : one;
    });
    return { ...item, content };
  });
}

export const decisionBody = z
  .strictObject({
    model: z.string().min(1).max(256),
    input: z.preprocess(withJsonAsText, responseInput).nullish(),
    session_id: z.string().nullish(),
    context_id: z.string().nullish(),
    questions: z.array(question).min(1).max(questionsLimit),
    prompt_cache_key: z.string().nullish(),
    prompt_cache_options: unsupported(isPlainCache),
    safety_identifier: z.string().nullish(),
  })
  .refine((body) => [body.input, body.session_id, body.context_id].filter((one) => !isAbsent(one)).length === 1, {
    path: ["input"],
    message: "or one of 'session_id' and 'context_id' must be given, and no two of them",
  });

export type DecisionBody = z.output<typeof decisionBody>;
export type DecisionQuestion = DecisionBody["questions"][number];
