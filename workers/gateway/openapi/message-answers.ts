/** What is answered under `/v1/messages`, in Anthropic's shapes. */
import * as z from "zod";

const text = z.string();
const count = z.int().min(0);

export const messagesError = z.strictObject({
  type: z.literal("error"),
  error: z.strictObject({
    type: z.enum([
      ...(["invalid_request_error", "authentication_error", "permission_error", "not_found_error", "request_too_large"] as const),
      ...(["rate_limit_error", "overloaded_error", "timeout_error", "api_error"] as const),
    ]),
    message: text,
    details: z.strictObject({ error_code: z.literal("thread_unsupported_request"), unsupported: z.array(text) }).optional(),
  }),
  request_id: text,
});

const block = z.union([
  z.strictObject({ type: z.literal("text"), text, citations: z.null() }),
  z.strictObject({
    ...{ type: z.literal("tool_use"), id: text, name: text, input: z.record(text, z.unknown()) },
    caller: z.strictObject({ type: z.literal("direct") }),
  }),
]);
const ending = {
  stop_reason: z.enum(["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"]).nullable(),
  stop_sequence: text.nullable(),
  stop_details: z.null(),
};
const deltaUsage = z.strictObject({
  ...{ input_tokens: count, cache_creation_input_tokens: count, cache_read_input_tokens: count, output_tokens: count },
  ...{ output_tokens_details: z.null(), server_tool_use: z.null() },
});
export const message = z.strictObject({
  ...{ id: text, type: z.literal("message"), role: z.literal("assistant"), model: text, content: z.array(block), ...ending },
  ...{ container: z.null(), diagnostics: z.null() },
  usage: z.strictObject({
    ...deltaUsage.shape,
    ...{ cache_creation: z.null(), inference_geo: z.null(), service_tier: z.literal("standard"), speed: z.null() },
  }),
});

const event = <Type extends string, Fields extends z.ZodRawShape>(type: Type, fields: Fields) =>
  z.strictObject({ type: z.literal(type), ...fields });

const blockDelta = z.union([
  z.strictObject({ type: z.literal("text_delta"), text }),
  z.strictObject({ type: z.literal("input_json_delta"), partial_json: text }),
]);

/** In the order in which they come. */
export const messageEvent = z.union([
  event("message_start", { message }),
  event("ping", {}),
  event("content_block_start", { index: count, content_block: block }),
  event("content_block_delta", { index: count, delta: blockDelta }),
  event("content_block_stop", { index: count }),
  event("message_delta", { delta: z.strictObject({ ...ending, container: z.null() }), usage: deltaUsage }),
  event("message_stop", {}),
  messagesError,
]);

export const messageTokens = z.strictObject({ input_tokens: count });
