/** The bodies of `POST /v1/messages` and of `POST /v1/messages/count_tokens`, in Anthropic's words: what is read of them is in those of the rest. */
import * as z from "zod";
import { unmatchedResult } from "../../contracts/tools.ts";
import type { TranscriptMessage } from "../../contracts/transcript.ts";
import { cacheControl, message, placedMessages, text } from "./anthropic-content.ts";
import { messageToolChoice, messageToolFields, messageTools } from "./anthropic-tools.ts";
import { generationFields, modelId } from "./generation-fields.ts";
import { messagesLimit, stopLengthLimit, stopsLimit } from "./limits.ts";
import { among, asksNothing, isAbsent, isEmptyArray, unsupported } from "./parse.ts";
import { outputFormat } from "./structured-output.ts";
import { choiceRefusal } from "./tools.ts";

const isDisabled = (value: unknown) => asksNothing({ type: among("disabled") })(value) && (value as { type?: unknown }).type === "disabled";

/** What a prompt is made of. */
const promptFields = {
  model: modelId,
  messages: z.array(message).min(1).max(messagesLimit),
  system: text.nullish(),
  cache_control: cacheControl,
  output_config: z.strictObject({ format: outputFormat, effort: unsupported() }).nullish(),
  tools: messageTools,
  tool_choice: messageToolChoice,
  thinking: unsupported(isDisabled),
  speed: unsupported((value) => value === "standard"),
  mcp_servers: unsupported(isEmptyArray),
  context_management: unsupported(),
  thread: unsupported(
    undefined,
    "'thread' is not supported by this server: send the whole conversation; with a key, its state is remembered.",
  ),
};

export const messageBody = z
  .strictObject({
    ...promptFields,
    max_tokens: z
      .int()
      .min(1)
      .max(2 ** 31 - 1),
    stream: z.boolean().nullish(),
    stop_sequences: z.array(z.string().min(1).max(stopLengthLimit)).max(stopsLimit).nullish(),
    temperature: z.number().min(0).max(1).nullish(),
    top_p: z.number().gt(0).max(1).nullish(),
    top_k: z.int().min(0).max(1_000_000).nullish(),
    metadata: z.strictObject({ user_id: z.string().max(512).nullish() }).nullish(),
    service_tier: z.enum(["auto", "standard_only"]).nullish(),
    inference_geo: z.string().nullish(),
    container: unsupported(),
    diagnostics: unsupported(),
    billing_policy: unsupported(),
    compaction: unsupported(),
    fallbacks: unsupported(
      isEmptyArray,
      "'fallbacks' is not supported by this server: 'fallback' names models that answer in 'model''s place.",
    ),
    fallback_credit_token: unsupported(),
    output_format: unsupported(undefined, "'output_format' is the older name of 'output_config.format'."),
    user_profile_id: unsupported(),
    workspace_id: unsupported(),
    /** Extensions, as in chat completions. */
    fallback: generationFields.fallback,
    hedge: generationFields.hedge,
    seed: generationFields.seed,
  })
  .transform(({ stop_sequences: stop, metadata: _metadata, ...body }, context) => ({
    ...body,
    ...promptOf(body, context),
    stop,
    logit_bias: [],
  }));

export const messageCountBody = z
  .strictObject(promptFields)
  .transform((body, context) => ({ model: body.model, ...promptOf(body, context) }));

export type MessageBody = z.output<typeof messageBody>;
export type MessageCountBody = z.output<typeof messageCountBody>;

/** What a prompt is made of, in the words of the rest. */
function promptOf({ system, messages, tools, tool_choice: choice, output_config: output }: PromptFields, context: z.RefinementCtx) {
  const refuse = (path: readonly (string | number)[], message: string) => {
    context.addIssue({ code: "custom", path: [...path], message });
  };
  const placed = messages.flatMap(placedMessages);
  const unmatched = unmatchedResult(placed.map(({ message }) => message));
  if (unmatched !== undefined) refuse(placed[unmatched.at]?.path ?? [], `must be the id of a 'tool_use' before it${unmatched.why}`);
  const toolFields = messageToolFields(tools, choice);
  const refused = choiceRefusal(toolFields);
  if (refused !== undefined) refuse(refused.field.split("."), refused.message);
  return {
    messages: spoken(
      system,
      placed.map(({ message }) => message),
    ),
    toolFields,
    response_format: asResponseFormat(output?.format),
  };
}

type PromptFields = z.output<z.ZodObject<typeof promptFields>>;

/** Messages that one speaker says one after another are one, as Anthropic has it; what functions gave are one each. */
function spoken(system: string | null | undefined, said: readonly TranscriptMessage[]): TranscriptMessage[] {
  const joined: TranscriptMessage[] = [];
  for (const message of [...(isAbsent(system) ? [] : [{ role: "system", content: system } as const]), ...said]) {
    const last = joined.at(-1);
    if (last?.role === message.role && message.role !== "tool") joined[joined.length - 1] = both(last, message);
    else joined.push(message);
  }
  return joined;
}

function both(first: TranscriptMessage, second: TranscriptMessage): TranscriptMessage {
  const calls = [...(first.calls ?? []), ...(second.calls ?? [])];
  const texts = [first.content, second.content].filter((one) => one !== "" || calls.length === 0);
  return { ...first, content: texts.join("\n"), ...(calls.length === 0 ? {} : { calls }) };
}

/** Under the name that the rest of the gateway has for it. */
const asResponseFormat = (format: z.output<typeof outputFormat>) =>
  isAbsent(format) ? null : { type: "json_schema" as const, json_schema: { name: "output", schema: format.schema } };
