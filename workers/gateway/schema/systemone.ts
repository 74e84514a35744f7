/** The body of `POST /v1/systemone`, as vLLM has it. */
import * as z from "zod";
import { modelId } from "./generation-fields.ts";
import { asksNothing, isAbsent, isEmptyArray, unsupported } from "./parse.ts";
import { questionsLimit } from "./decision.ts";
import { bodyLimitBytes } from "./limits.ts";

const optionsLimit = 255;
const levelsLimit = 10;
const textLimit = 32_768;

/** As deep as a schema may be, and no more white space than a body may have characters. */
const depthLimit = 64;
const indentationLimit = bodyLimitBytes;

/** Characters that a JSON value takes more when each of its members has a line of its own; infinite where it is nested too deeply to be written. */
function indentation(state: unknown): number {
  let characters = 0;
  let level: readonly unknown[] = [state];
  for (let depth = 1; level.length > 0; depth += 1) {
    const members = level.flatMap((one) => (typeof one === "object" && one !== null ? (Object.values(one) as unknown[]) : []));
    if (members.length > 0 && depth > depthLimit) return Number.POSITIVE_INFINITY;
    characters += members.length * (1 + 2 * depth);
    level = members;
  }
  return characters;
}

const instructions = z.string().max(textLimit).nullish();
const criterion = z.string().max(textLimit).nullish();

const question = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("choice"),
    instructions,
    criteria: z
      .record(z.string().min(1).max(textLimit), criterion)
      .refine((options) => Object.keys(options).length > 0, { error: "must name at least one option" })
      .refine((options) => Object.keys(options).length <= optionsLimit, { error: `may name ${String(optionsLimit)} options` }),
  }),
  z.strictObject({ type: z.literal("noul"), instructions, criteria: z.strictObject({ true: criterion, false: criterion }).nullish() }),
  z.strictObject({
    type: z.literal("score"),
    instructions,
    criteria: z
      .array(z.string().min(1).max(textLimit))
      .min(2)
      .max(levelsLimit)
      .refine((levels) => new Set(levels).size === levels.length, { error: "must have different levels" }),
  }),
]);

export const systemOneBody = z.strictObject({
  model: modelId.nullish(),
  /** What the questions are about: text, or JSON, which is read as it is written. */
  state: z
    .unknown()
    .refine((value) => value !== undefined, { error: "must be given" })
    .refine((value) => indentation(value) <= indentationLimit, {
      error: `may be nested ${String(depthLimit)} deep, and take ${String(indentationLimit)} characters to indent`,
    }),
  questions: z
    .record(z.string().min(1).max(256), question)
    .refine((asked) => Object.keys(asked).length > 0, { error: "must hold at least one question" })
    .refine((asked) => Object.keys(asked).length <= questionsLimit, { error: `may hold ${String(questionsLimit)} questions` }),
  instructions,
  images: unsupported(isEmptyArray),
  audio: unsupported(isEmptyArray),
  videos: unsupported(isEmptyArray),
  chat_template_kwargs: unsupported(asksNothing()),
  cache_salt: unsupported(isAbsent),
  priority: unsupported((value) => value === 0),
  request_id: unsupported(),
});

export type SystemOneBody = z.output<typeof systemOneBody>;
export type SystemOneQuestion = SystemOneBody["questions"][string];
