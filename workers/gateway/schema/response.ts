/** The body of `POST /v1/responses`, and of what counts its tokens. */
import * as z from "zod";
import { unmatchedResult } from "../../contracts/tools.ts";
import { generationFields, tokenCount } from "./generation-fields.ts";
import { topLogprobsLimit } from "./limits.ts";
import { accepted, among, asksNothing, isAbsent, isEmptyArray, refusedFlag, unsupported } from "./parse.ts";
import { choiceRefusal, responseToolChoice, responseTools, type ToolFields } from "./tools.ts";
import { responseInput } from "./response-input.ts";
import { asResponseFormat, textFormat } from "./structured-output.ts";

const idLimit = 256;

const isNoReasoning = asksNothing({
  ...{ effort: among("none"), summary: among(), generate_summary: among(), context: among("auto"), mode: among("standard") },
});

/** What nothing is added for: it is there where it was asked for, or never. */
export const includes = ["message.output_text.logprobs", "reasoning.encrypted_content"] as const;

const include = z
  .array(z.string())
  .nullish()
  .superRefine((values, context) => {
    for (const [at, value] of (values ?? []).entries())
      if (!(includes as readonly string[]).includes(value)) {
        const reason = `'include[${String(at)}]': '${value.slice(0, 60)}' is nothing that responses of this server hold.`;
        context.addIssue({ code: "custom", path: [at], message: "not supported", params: { unsupported: true, reason } });
      }
  });

const conversation = z.union([z.string().min(1).max(idLimit), z.strictObject({ id: z.string().min(1).max(idLimit) })]).nullish();

const shortText = z.string().max(512).nullish();

const fields = {
  ...generationFields,
  input: responseInput,
  instructions: z.string().nullish(),
  previous_response_id: z.string().min(1).max(idLimit).nullish(),
  conversation,
  background: z.boolean().nullish(),
  max_output_tokens: tokenCount(1),
  top_logprobs: z.int().min(0).max(topLogprobsLimit).nullish(),
  include,
  text: z.strictObject({ format: textFormat, verbosity: unsupported((value) => value === "medium") }).nullish(),
  response_format: unsupported(() => false, "'response_format' is a field of chat completions: 'text.format' is what it is in responses."),
  tools: responseTools,
  tool_choice: responseToolChoice,
  parallel_tool_calls: z.boolean().nullish(),
  max_tool_calls: z.int().min(1).nullish(),
  truncation: unsupported(
    (value) => value === "disabled",
    "'truncation' other than 'disabled' is not supported: nothing of a conversation is left out without a word.",
  ),
  reasoning: unsupported(isNoReasoning),
  stream_options: z.strictObject({ include_obfuscation: unsupported((value) => value === false) }).nullish(),
  n: z.literal(1, { error: "must be 1" }).nullish(),
  spikes: refusedFlag("'spikes' are reported in chat completions."),
  state: refusedFlag("'state' is reported in chat completions."),
  return_token_ids: refusedFlag("'return_token_ids' is a field of chat completions and completions."),
  prompt_logprobs: unsupported(() => false, "'prompt_logprobs' is a field of chat completions and completions."),
  placement: refusedFlag("'placement' is reported in chat completions; the header x-spikingbrain-backend says it here too."),
  user: shortText,
  safety_identifier: shortText,
  prompt_cache_key: shortText,
  prompt: unsupported(),
  prompt_cache_options: accepted,
  context_management: unsupported(isEmptyArray),
  moderation: unsupported(),
  access_programs: unsupported(),
  image: unsupported(),
};

export const responseBody = z
  .strictObject(fields)
  .superRefine((body, context) => {
    const refuse = (path: string, message: string) => {
      context.addIssue({ code: "custom", path: [path], message });
    };
    const refused = choiceRefusal(responseToolFields(body));
    if (refused !== undefined) refuse(refused.field, refused.message);
    if (body.store === false && !isAbsent(body.conversation))
      refuse("store", "must be true in a conversation, which keeps what is said in it");
    const isContinued = !isAbsent(body.previous_response_id) || !isAbsent(body.conversation);
    if (!isAbsent(body.previous_response_id) && !isAbsent(body.conversation)) refuse("conversation", "excludes 'previous_response_id'");
    if (body.store === false && body.background === true)
      refuse("background", "needs 'store' to be true, for who asks later finds it there");
    if (isContinued && (body.fallback ?? []).length > 0)
      refuse("fallback", "must be empty in a conversation, which never changes its model");
    if (!isAbsent(body.stream_options) && body.stream !== true) refuse("stream_options", "needs 'stream' to be true");
    const unmatched = isContinued ? undefined : unmatchedResult(body.input);
    if (unmatched !== undefined) refuse("input", `the 'call_id' of an output must be that of a call before it${unmatched.why}`);
  })
  .transform((body) => ({ ...body, prompt_logprobs: null, response_format: asResponseFormat(body.text?.format) }));

export type ResponseBody = z.output<typeof responseBody>;

export const responseToolFields = (body: Pick<ResponseBody, "tools" | "tool_choice" | "parallel_tool_calls">): ToolFields => ({
  tools: body.tools,
  choice: body.tool_choice,
  parallel: body.parallel_tool_calls,
});
