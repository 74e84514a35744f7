/** The body of `POST /v1/completions`. */
import * as z from "zod";
import { generationFields, tokenCount } from "./generation-fields.ts";
import { generationsLimit, topLogprobsLimit } from "./limits.ts";
import { isAbsent, onWire, unsupported } from "./parse.ts";

/** One prompt: text still to be tokenized, or token ids as they are. */
export type Prompt = { readonly text: string } | { readonly tokens: readonly number[] };

const isTokenList = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => Number.isInteger(item) && item >= 0 && item < 2 ** 32);

/** Checked by hand: it stops at the first bad element, where a schema would report each of a million. */
export const prompts = onWire(
  z.unknown().transform((value, context): Prompt[] => {
    const list = toPrompts(value);
    if (typeof list !== "string") return list;
    context.addIssue({ code: "custom", message: list });
    return z.NEVER;
  }),
  z.union([z.string(), z.array(z.string()).min(1), z.array(z.int().min(0)).min(1), z.array(z.array(z.int().min(0)).min(1)).min(1)]),
);

function toPrompts(value: unknown): Prompt[] | string {
  if (typeof value === "string") return [{ text: value }];
  if (isTokenList(value)) return [{ tokens: value }];
  if (!Array.isArray(value) || value.length === 0)
    return "must be a string, an array of strings, token ids, or an array of token-id arrays";
  if (value.length > generationsLimit && typeof value[0] !== "number")
    return `holds ${value.length} prompts; at most ${generationsLimit} are allowed`;
  if (value.every((item) => typeof item === "string")) return value.map((text) => ({ text }));
  if (value.every(isTokenList)) return value.map((tokens) => ({ tokens }));
  return "must hold only strings, only token ids (integers from 0), or only non-empty arrays of token ids";
}

export const completionBody = z
  .strictObject({
    ...generationFields,
    prompt: prompts,
    max_tokens: tokenCount(0),
    logprobs: z.int().min(0).max(topLogprobsLimit).nullish(),
    echo: z.boolean().nullish(),
    suffix: unsupported((value) => value === ""),
    best_of: unsupported((value) => value === 1),
  })
  .refine((body) => body.stream !== true || isAbsent(body.prompt_logprobs), {
    path: ["prompt_logprobs"],
    message: "must be left out where 'stream' is true",
  })
  .refine((body) => body.stream === true || isAbsent(body.stream_options), {
    path: ["stream_options"],
    message: "needs 'stream' to be true",
  })
  .refine((body) => body.prompt.length * (body.n ?? 1) <= generationsLimit, {
    path: ["n"],
    message: `times the number of prompts must be at most ${generationsLimit}`,
  });

export type CompletionBody = z.output<typeof completionBody>;
