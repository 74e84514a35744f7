/** The body of `POST /v1/chat/completions`. */
import * as z from "zod";
import { generationFields, tokenCount } from "./generation-fields.ts";
import { topLogprobsLimit } from "./limits.ts";
import { messages } from "./messages.ts";
import { accepted, isAbsent, isEmptyArray, unsupported } from "./parse.ts";

const isTextOnly = (value: unknown) => Array.isArray(value) && value.length === 1 && value[0] === "text";

/** What is offered to be called asks for nothing where the other field says that none of it is. */
const offers = [
  ["tools", "tool_choice"],
  ["functions", "function_call"],
] as const;

export const chatCompletionBody = z
  .strictObject({
    ...generationFields,
    messages,
    /** An extension: the session that this is a turn of; `messages` holds what is new. */
    session_id: z.string().max(64).nullish(),
    max_tokens: tokenCount(1),
    max_completion_tokens: tokenCount(1),
    logprobs: z.boolean().nullish(),
    top_logprobs: z.int().min(0).max(topLogprobsLimit).nullish(),
    /** Says how tools may be called; there are none to call. */
    parallel_tool_calls: accepted,
    tools: unsupported(Array.isArray),
    // Without tools, "auto" calls none either.
    tool_choice: unsupported((value) => value === "none" || value === "auto"),
    functions: unsupported(Array.isArray),
    function_call: unsupported((value) => value === "none" || value === "auto"),
    modalities: unsupported(isTextOnly),
    audio: unsupported(),
    prediction: unsupported(),
    moderation: unsupported(),
    reasoning_effort: unsupported((value) => value === "none"),
    verbosity: unsupported((value) => value === "medium"),
    web_search_options: unsupported(),
  })
  .superRefine((body, context) => {
    for (const [field, choice] of offers)
      if (!isAbsent(body[field]) && !isEmptyArray(body[field]) && body[choice] !== "none")
        context.addIssue({ code: "custom", path: [field], params: { unsupported: true } });
  })
  .refine((body) => (body.top_logprobs ?? 0) === 0 || body.logprobs === true, {
    path: ["top_logprobs"],
    message: "needs 'logprobs' to be true",
  })
  .refine((body) => isAbsent(body.session_id) || (body.fallback ?? []).length === 0, {
    path: ["fallback"],
    message: "must be empty in a session, which never changes its model",
  })
  .refine((body) => isAbsent(body.session_id) || (body.n ?? 1) === 1, { path: ["n"], message: "must be 1 in a session" })
  .refine((body) => isAbsent(body.session_id) || isAbsent(body.prompt_logprobs), {
    path: ["prompt_logprobs"],
    message: "must be left out in a session, which reads nothing again",
  })
  .refine((body) => body.stream !== true || isAbsent(body.prompt_logprobs), {
    path: ["prompt_logprobs"],
    message: "must be left out where 'stream' is true",
  })
  .refine((body) => body.stream === true || isAbsent(body.stream_options), {
    path: ["stream_options"],
    message: "needs 'stream' to be true",
  })
  .refine((body) => isAbsent(body.max_tokens) || isAbsent(body.max_completion_tokens) || body.max_tokens === body.max_completion_tokens, {
    path: ["max_completion_tokens"],
    message: "differs from 'max_tokens', its older name",
  });

export type ChatCompletionBody = z.output<typeof chatCompletionBody>;
