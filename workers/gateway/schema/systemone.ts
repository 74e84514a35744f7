/** The body of `POST /v1/systemone`, as vLLM has it. */
import * as z from "zod";
import { modelId } from "./generation-fields.ts";
import { asksNothing, isAbsent, isEmptyArray, unsupported } from "./parse.ts";
import { questionsLimit } from "./decision.ts";

const optionsLimit = 255;
const levelsLimit = 10;
const textLimit = 32_768;

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
  state: z.unknown().refine((value) => value !== undefined, { error: "must be given" }),
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
