/** The bodies of `POST /v1/messages` and of `POST /v1/messages/count_tokens`, in Anthropic's words: what is read of them is in those of the rest. */
import * as z from "zod";
import type { TranscriptMessage } from "../../contracts/session.ts";
import { generationFields, modelId } from "./generation-fields.ts";
import { messagesLimit, partsLimit, stopLengthLimit, stopsLimit } from "./limits.ts";
import { accepted, isAbsent, isEmptyArray, onWire, refusedKind, unsupported } from "./parse.ts";
import { outputFormat } from "./structured-output.ts";

/** Asks for what is done anyway: with a key, the state of what a prompt begins with is kept. */
const cacheControl = z.strictObject({ type: z.literal("ephemeral"), ttl: z.enum(["5m", "1h"]).nullish() }).nullish();

const textBlock = z.strictObject({
  type: z.literal("text"),
  text: z.string(),
  cache_control: cacheControl,
  citations: unsupported(isEmptyArray),
});

const refusedBlock = (kind: string) => refusedKind("type", kind, "messages hold text only");

const block = z.discriminatedUnion("type", [
  textBlock,
  refusedBlock("image"),
  refusedBlock("document"),
  refusedBlock("search_result"),
  refusedBlock("thinking"),
  refusedBlock("redacted_thinking"),
  refusedBlock("tool_use"),
  refusedBlock("tool_result"),
  refusedBlock("server_tool_use"),
  refusedBlock("web_search_tool_result"),
  refusedBlock("container_upload"),
]);

/** Blocks are paragraphs of one text. */
const textOf = (one: z.ZodType) =>
  onWire(
    z
      .preprocess(
        (value) => (typeof value === "string" ? [{ type: "text", text: value }] : value),
        z.array(z.unknown(), { error: "must be a string or an array of text blocks" }).max(partsLimit),
      )
      .pipe(z.array(one))
      .transform((list) => list.map((item) => (item as { readonly text: string }).text).join("\n")),
    z.union([z.string(), z.array(one).max(partsLimit)]),
  );

const content = textOf(block);

const messages = z
  .array(z.strictObject({ role: z.enum(["user", "assistant", "system"]), content }))
  .min(1)
  .max(messagesLimit);

const isDisabled = (value: unknown) => typeof value === "object" && value !== null && "type" in value && value.type === "disabled";
const isNoChoice = (value: unknown) =>
  typeof value === "object" && value !== null && "type" in value && ["none", "auto"].includes(String(value.type));

/** What a prompt is made of. */
const promptFields = {
  model: modelId,
  messages,
  system: textOf(textBlock).nullish(),
  cache_control: cacheControl,
  output_config: z.strictObject({ format: outputFormat, effort: unsupported() }).nullish(),
  tools: unsupported(isEmptyArray),
  tool_choice: unsupported(isNoChoice),
  thinking: unsupported(isDisabled),
  speed: unsupported((value) => value === "standard"),
  mcp_servers: unsupported(isEmptyArray),
  context_management: unsupported(),
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
    inference_geo: accepted,
    container: unsupported(),
    diagnostics: unsupported(),
    user_profile_id: unsupported(),
    workspace_id: unsupported(),
    /** Extensions, as in chat completions. */
    fallback: generationFields.fallback,
    hedge: generationFields.hedge,
    seed: generationFields.seed,
  })
  .transform(({ stop_sequences: stop, system, messages: said, metadata: _metadata, output_config: output, ...body }) => ({
    ...body,
    stop,
    messages: spoken(system, said),
    logit_bias: [],
    response_format: asResponseFormat(output?.format),
  }));

export const messageCountBody = z.strictObject(promptFields).transform(({ model, system, messages: said, output_config: output }) => ({
  model,
  messages: spoken(system, said),
  response_format: asResponseFormat(output?.format),
}));

export type MessageBody = z.output<typeof messageBody>;
export type MessageCountBody = z.output<typeof messageCountBody>;

/** Messages that one speaker says one after another are one, as Anthropic has it. */
function spoken(system: string | null | undefined, said: readonly TranscriptMessage[]): TranscriptMessage[] {
  const joined: TranscriptMessage[] = [];
  for (const message of [...(isAbsent(system) ? [] : [{ role: "system", content: system } as const]), ...said]) {
    const last = joined.at(-1);
    if (last?.role === message.role) joined[joined.length - 1] = { ...last, content: `${last.content}\n${message.content}` };
    else joined.push(message);
  }
  return joined;
}

/** Under the name that the rest of the gateway has for it. */
const asResponseFormat = (format: z.output<typeof outputFormat>) =>
  isAbsent(format) ? null : { type: "json_schema" as const, json_schema: { name: "output", schema: format.schema } };
