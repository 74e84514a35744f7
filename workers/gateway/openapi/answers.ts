/** Answers under the names that the document gives them. Tests hold what the API answers to these shapes, field by field. */
import * as z from "zod";
import { message as anthropicMessage, messageEvent, messagesError, messageTokens } from "./message-answers.ts";
import { responseEvent, responseObject, responseItem } from "./response-answers.ts";

const text = z.string();
const count = z.int().min(0);
const seconds = z.int().describe("Unix seconds");
const list = <T extends z.ZodType>(item: T) => z.strictObject({ object: z.literal("list"), data: z.array(item), has_more: z.boolean() });

const error = z.strictObject({
  error: z.strictObject({ message: text, type: text, param: text.nullable(), code: text }),
});

const tokenLogprob = { token: text, logprob: z.number(), bytes: z.array(z.int()) };
const logprobs = z
  .strictObject({
    content: z.array(z.strictObject({ ...tokenLogprob, top_logprobs: z.array(z.strictObject(tokenLogprob)) })),
    refusal: z.null(),
  })
  .nullable();
const placement = z.strictObject({ backend: text, kind: text, from_token: count });
const stateReport = z.strictObject({ tokens: count, bytes: count });
const spikes = z.looseObject({}).describe("Shares and means of spikes, and an estimate of energy");
const usage = z.strictObject({
  ...{ prompt_tokens: count, completion_tokens: count, total_tokens: count },
  prompt_tokens_details: z.strictObject({ cached_tokens: count }),
  ...{ spikes: spikes.optional(), state: stateReport.optional() },
});
const finish = z.enum(["stop", "length", "tool_calls", "content_filter"]);
const header = { id: text, created: seconds, model: text, system_fingerprint: text };
const live = { spikes: spikes.optional(), state: stateReport.optional(), placement: placement.optional() };
const completionLogprobs = z
  .strictObject({
    tokens: z.array(text),
    token_logprobs: z.array(z.number().nullable()),
    top_logprobs: z.array(z.record(text, z.number()).nullable()),
    text_offset: z.array(count),
  })
  .nullable();

const ids = z.array(count).optional();
const tellsIds = { token_ids: ids, prompt_token_ids: ids };
const promptLogprobs = z
  .array(z.record(text, z.strictObject({ logprob: z.number(), rank: count.nullable(), decoded_token: text })).nullable())
  .optional()
  .describe("For each token of the prompt, by id, itself and the likeliest in its place; null for the first");

const called = z.strictObject({ name: text, arguments: text });
const toolCalls = z.array(z.strictObject({ id: text, type: z.literal("function"), function: called })).optional();
/** The first of a call names it; the others have parts of its arguments. */
const toolCallDeltas = z
  .array(
    z.union([
      z.strictObject({ index: count, id: text, type: z.literal("function"), function: called }),
      z.strictObject({ index: count, function: z.strictObject({ arguments: text }) }),
    ]),
  )
  .optional();

const message = z.strictObject({
  role: z.enum(["system", "user", "assistant", "tool"]),
  content: text,
  name: text.optional(),
  tool_calls: toolCalls,
  tool_call_id: text.optional(),
});
const turn = z.strictObject({
  number: count,
  messages: z.array(message),
  tokens: count,
  finish: z.enum(["stop", "length", "tool_calls", "content_filter", "cancelled", "failed"]),
  created: seconds,
});
const session = z.strictObject({
  ...{ id: text, object: z.literal("session"), kind: z.enum(["session", "context"]), name: text, model: text },
  ...{ created: seconds, updated: seconds, expires: seconds, tokens: count, turns: count, state_bytes: count, bytes: count },
  tier: z.enum(["hot", "durable", "tokens"]),
  parent: z.strictObject({ session_id: text, turn: count }).nullable(),
  running: text.nullable().describe("The stream of the turn that runs now"),
  ingest: z
    .strictObject({
      stage: z.enum(["uploading", "reading", "ready", "failed"]),
      ...{ received_bytes: count, tokens: count, read_tokens: count, error: error.shape.error.optional() },
    })
    .nullable(),
});
const share = z.strictObject({ object: z.literal("share"), id: text, session_id: text, name: text, created: seconds, expires: seconds });
const model = z.looseObject({ id: text, object: z.literal("model"), created: seconds, owned_by: text, status: text, max_model_len: count });
const conversation = z.strictObject({ id: text, object: z.literal("conversation"), created_at: seconds, metadata: z.record(text, text) });
const deleted = (object: string) => z.strictObject({ id: text, object: z.literal(object), deleted: z.literal(true) });

const decided = { name: text.nullable(), label_mass: z.number() };
const labelled = { probabilities: z.record(text, z.number()), confidence: z.number() };
const chosen = z.union([text, z.boolean()]);

export const answerShapes = {
  Error: error,
  ChatCompletion: z.strictObject({
    ...{ ...header, object: z.literal("chat.completion"), usage },
    choices: z.array(
      z.strictObject({
        index: count,
        message: z.strictObject({ role: z.literal("assistant"), content: text.nullable(), refusal: z.null(), tool_calls: toolCalls }),
        ...{ logprobs, finish_reason: finish, placements: z.array(placement).optional(), token_ids: ids },
      }),
    ),
    ...{ prompt_token_ids: ids, prompt_logprobs: promptLogprobs },
  }),
  ChatCompletionChunk: z.strictObject({
    ...{ ...header, object: z.literal("chat.completion.chunk"), usage: usage.nullish(), ...live },
    choices: z.array(
      z.strictObject({
        index: count,
        delta: z.strictObject({ role: z.literal("assistant").optional(), content: text.nullish(), tool_calls: toolCallDeltas }),
        ...{ logprobs, finish_reason: finish.nullable(), token_ids: ids },
      }),
    ),
    prompt_token_ids: ids,
  }),
  Completion: z.strictObject({
    ...{ ...header, object: z.literal("text_completion"), usage: usage.nullish(), ...live },
    choices: z.array(
      z.strictObject({
        ...{ index: count, text, logprobs: completionLogprobs, finish_reason: finish.nullable() },
        ...{ placements: z.array(placement).optional(), ...tellsIds, prompt_logprobs: promptLogprobs },
      }),
    ),
  }),
  Response: responseObject,
  ResponseEvent: responseEvent,
  Message: anthropicMessage,
  MessageEvent: messageEvent,
  MessageTokens: messageTokens,
  MessagesError: messagesError,
  Decisions: z.strictObject({
    model: text,
    answers: z.array(
      z.union([
        z.strictObject({ ...decided, type: z.literal("predicate"), probability: z.number() }),
        z.strictObject({
          ...{ ...decided, type: z.literal("choice"), choice: chosen, confidence: z.number() },
          probabilities: z.array(z.strictObject({ value: chosen, probability: z.number() })),
        }),
        z.strictObject({
          ...{ ...decided, type: z.literal("score"), score: z.number(), confidence: z.number() },
          probabilities: z.array(z.strictObject({ label: text, value: count, probability: z.number() })),
        }),
      ]),
    ),
    usage: z.strictObject({
      input_tokens: count,
      input_tokens_details: z.strictObject({ cached_tokens: count, cache_write_tokens: count }),
      output_tokens: count,
      output_tokens_details: z.strictObject({ reasoning_tokens: count }),
      total_tokens: count,
    }),
  }),
  SystemOne: z.strictObject({
    ...{ id: text, object: z.literal("structured_decision"), created: seconds, model: text },
    answers: z.record(
      text,
      z.union([
        z.strictObject({ type: z.literal("choice"), choice: text, ...labelled }),
        z.strictObject({ type: z.literal("noul"), noul: z.number(), ...labelled }),
        z.strictObject({ type: z.literal("score"), score: z.number(), legend: z.record(text, text), ...labelled }),
      ]),
    ),
    usage: z.strictObject({ input_tokens: count, output_tokens: count }),
    diagnostics: z.record(text, z.strictObject({ label_mass: z.number(), argmax_is_label: z.boolean() })),
  }),
  DeletedResponse: deleted("response"),
  InputTokens: z.strictObject({ object: z.literal("response.input_tokens"), input_tokens: count }),
  Item: responseItem,
  ItemList: z.strictObject({ ...list(responseItem).shape, first_id: text.nullable(), last_id: text.nullable() }),
  Conversation: conversation,
  DeletedConversation: deleted("conversation.deleted"),
  Session: session,
  SessionList: list(session),
  TurnList: list(turn),
  MadeShare: z.strictObject({ object: z.literal("share"), id: text, expires: seconds }),
  ShareList: list(share),
  SharedSession: z.strictObject({
    ...{ object: z.literal("shared_session"), name: text, model: text, tokens: count, state_bytes: count, expires: seconds },
    turns: z.array(turn),
  }),
  Usage: z.strictObject({
    ...{ sessions: count, hot_bytes: count, durable_bytes: count, used_bytes: count, quota_bytes: count },
    bytes: z.strictObject({ states: count, sessions: count, contexts: count, shares: count, streams: count }),
  }),
  Model: model,
  ModelList: z.strictObject({ object: z.literal("list"), data: z.array(model) }),
  PoolAnswer: z.strictObject({
    heartbeatSeconds: z.number(),
    expirySeconds: z.number(),
    status: z.enum(["taken", "draining", "removed"]),
  }),
  Tokens: z.strictObject({ tokens: z.array(count), count, token_strs: z.array(text).nullable(), max_model_len: count }),
  Prompt: z.strictObject({ prompt: text }),
  Health: z.strictObject({ status: z.literal("ok") }),
  Ready: z.strictObject({ status: z.literal("ready"), model: text, kernel: text }),
} as const satisfies Record<string, z.ZodType>;

export type AnswerShape = keyof typeof answerShapes;
