/** The body of `POST /v1/chat/completions`. */
import * as z from "zod";
import { unmatchedResult } from "../../contracts/tools.ts";
import { generationFields, tokenCount } from "./generation-fields.ts";
import { topLogprobsLimit } from "./limits.ts";
import { messages } from "./messages.ts";
import { isAbsent, isEmptyArray, unsupported } from "./parse.ts";
import { chatToolChoice, chatTools, choiceRefusal, type ToolFields } from "./tools.ts";

const isTextOnly = (value: unknown) => Array.isArray(value) && value.length === 1 && value[0] === "text";

const olderName = "'functions' and 'function_call' are not supported by this server: 'tools' and 'tool_choice' are their newer names.";

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
    parallel_tool_calls: z.boolean().nullish(),
    tools: chatTools,
    tool_choice: chatToolChoice,
    functions: unsupported(isEmptyArray, olderName),
    function_call: unsupported((value) => value === "none" || value === "auto", olderName),
    modalities: unsupported(isTextOnly),
    audio: unsupported(),
    prediction: unsupported(),
    moderation: unsupported(),
    reasoning_effort: unsupported((value) => value === "none"),
    verbosity: unsupported((value) => value === "medium"),
    web_search_options: unsupported(),
  })
  .superRefine((body, context) => {
    const refused = choiceRefusal(toolFields(body));
    if (refused !== undefined) context.addIssue({ code: "custom", path: [refused.field], message: refused.message });
    // Those of a session, which has the calls before them, it looks at itself.
    const unmatched = isAbsent(body.session_id) ? unmatchedResult(body.messages) : undefined;
    if (unmatched === undefined) return;
    const path = ["messages", unmatched.at, "tool_call_id"];
    context.addIssue({ code: "custom", path, message: `must be the id of a call before it${unmatched.why}` });
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

export const toolFields = (body: Pick<ChatCompletionBody, "tools" | "tool_choice" | "parallel_tool_calls">): ToolFields => ({
  tools: body.tools,
  choice: body.tool_choice,
  parallel: body.parallel_tool_calls,
});
