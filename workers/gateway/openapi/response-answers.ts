/** Responses, their items and their events, as they are answered. */
import * as z from "zod";

const text = z.string();
const count = z.int().min(0);
const tokenLogprob = { token: text, logprob: z.number(), bytes: z.array(z.int()) };
const logprobs = z.array(z.strictObject({ ...tokenLogprob, top_logprobs: z.array(z.strictObject(tokenLogprob)) }));
const status = z.enum(["in_progress", "completed", "incomplete"]);
const outputText = z.strictObject({ type: z.literal("output_text"), text, annotations: z.array(z.never()), logprobs });

const assistantItem = z.strictObject({
  ...{ id: text, type: z.literal("message"), status, role: z.literal("assistant"), content: z.array(outputText) },
});
export const responseItem = z.union([
  assistantItem,
  z.strictObject({
    ...{ id: text, type: z.literal("message"), status, role: z.enum(["user", "system"]) },
    content: z.array(z.strictObject({ type: z.literal("input_text"), text })),
  }),
  z.strictObject({ id: text, type: z.literal("function_call"), status, call_id: text, name: text, arguments: text }),
  z.strictObject({ id: text, type: z.literal("function_call_output"), status, call_id: text, output: text }),
]);

export const responseObject = z.strictObject({
  ...{ id: text, object: z.literal("response"), created_at: z.int(), completed_at: z.int().nullable() },
  status: z.enum(["in_progress", "completed", "incomplete", "failed", "cancelled"]),
  error: z.strictObject({ code: z.enum(["server_error", "rate_limit_exceeded", "invalid_prompt"]), message: text }).nullable(),
  incomplete_details: z.strictObject({ reason: z.enum(["max_output_tokens", "content_filter"]) }).nullable(),
  ...{ model: text, output: z.array(responseItem), instructions: text.nullable(), previous_response_id: text.nullable() },
  conversation: z.strictObject({ id: text }).nullable(),
  ...{ store: z.boolean(), background: z.boolean(), metadata: z.record(text, text) },
  ...{ temperature: z.number(), top_p: z.number(), presence_penalty: z.number(), frequency_penalty: z.number() },
  ...{ max_output_tokens: count.nullable(), max_tool_calls: count.nullable(), top_logprobs: count },
  text: z.strictObject({ format: z.looseObject({ type: text }) }),
  ...{ tools: z.array(z.unknown()), tool_choice: z.unknown(), parallel_tool_calls: z.boolean() },
  ...{ user: text.nullable(), safety_identifier: text.nullable(), prompt_cache_key: text.nullable() },
  ...{
    truncation: z.literal("disabled"),
    reasoning: z.strictObject({ effort: z.null(), summary: z.null() }),
    service_tier: z.literal("default"),
  },
  usage: z
    .strictObject({
      input_tokens: count,
      input_tokens_details: z.strictObject({ cached_tokens: count }),
      output_tokens: count,
      output_tokens_details: z.strictObject({ reasoning_tokens: count }),
      total_tokens: count,
    })
    .nullable(),
});

const event = <Type extends string, Fields extends z.ZodRawShape>(type: Type, fields: Fields) =>
  z.strictObject({ type: z.literal(type), sequence_number: count, ...fields });
const standing = (type: string) => event(type, { response: responseObject });
const place = { item_id: text, output_index: count, content_index: count };

const broken = { code: text, message: text, param: text.nullable() };

/** In the order in which they come. */
export const responseEvent = z.union([
  standing("response.created"),
  standing("response.in_progress"),
  event("response.output_item.added", { output_index: count, item: responseItem }),
  event("response.content_part.added", { ...place, part: outputText }),
  event("response.output_text.delta", { ...place, delta: text, logprobs }),
  event("response.output_text.done", { ...place, text, logprobs }),
  event("response.content_part.done", { ...place, part: outputText }),
  event("response.function_call_arguments.delta", { item_id: text, output_index: count, delta: text }),
  event("response.function_call_arguments.done", { item_id: text, output_index: count, name: text, arguments: text }),
  event("response.output_item.done", { output_index: count, item: responseItem }),
  standing("response.completed"),
  standing("response.incomplete"),
  standing("response.failed"),
  event("error", { ...broken, error: z.strictObject({ ...broken, type: text }) }),
]);
