/** Chat messages: text only, as strings or as text parts, calls of functions and what these gave; anything else is refused by name. */
import * as z from "zod";
import type { TranscriptMessage } from "../../contracts/transcript.ts";
import { callsLimit, messagesLimit, partsLimit } from "./limits.ts";
import { accepted, anyArray, isAbsent, isEmptyArray, isJsonObject, onWire, refusedKind, unsupported } from "./parse.ts";

const part = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text"), text: z.string() }),
  refusedKind("type", "image_url"),
  refusedKind("type", "input_audio"),
  refusedKind("type", "video_url"),
  refusedKind("type", "file"),
  refusedKind("type", "refusal"),
]);

const parts = z
  .preprocess(
    (value) => (typeof value === "string" ? [{ type: "text", text: value }] : value),
    anyArray("must be a string or an array of text parts").min(1).max(partsLimit),
  )
  .pipe(z.array(part));

/** Text parts are paragraphs of one message. */
const content = onWire(
  parts.transform((list) => list.map((item) => ("text" in item ? item.text : "")).join("\n")),
  z.union([z.string(), z.array(part).min(1).max(partsLimit)]),
);

/** Marks speakers of one role apart: templates have no place for it, so it is said in front of the text (`models/spoken-messages.ts`). */
const name = z
  .string()
  .regex(/^[^\s<|\\/>]{1,64}$/, { error: "must be 1 to 64 characters, without spaces and none of < | \\ / >" })
  .nullish();

const callId = z.string().min(1).max(256);

const call = z.discriminatedUnion("type", [
  z.strictObject({
    id: callId,
    type: z.literal("function"),
    function: z.strictObject({
      name: z.string().min(1).max(256),
      arguments: z.string().refine(isJsonObject, { error: "must be a JSON object as text" }),
      /** What the openai client has read of them. */
      parsed_arguments: accepted,
    }),
    /** As deltas of a stream number them. */
    index: accepted,
  }),
  refusedKind("type", "custom", "tools are functions"),
]);

const calls = onWire(
  z
    .array(z.unknown())
    .max(callsLimit)
    .pipe(z.array(call))
    .transform((list) => list.flatMap((one) => ("id" in one ? [one as z.output<(typeof call.options)[0]>] : [])))
    .transform((list) => list.map(({ id, function: called }) => ({ id, name: called.name, arguments: called.arguments }))),
  z.array(call).max(callsLimit),
);

const message = z.discriminatedUnion("role", [
  z.strictObject({ role: z.literal("system"), content, name }),
  z.strictObject({ role: z.literal("developer"), content, name }),
  z.strictObject({ role: z.literal("user"), content, name }),
  z
    .strictObject({
      role: z.literal("assistant"),
      content: content.nullish(),
      name,
      // An answer of ours, sent back as it was received, carries these without meaning.
      refusal: unsupported((value) => value === ""),
      annotations: unsupported(isEmptyArray),
      audio: unsupported(),
      parsed: accepted,
      tool_calls: calls.nullish(),
      function_call: unsupported(),
    })
    .refine(({ content: said, tool_calls: made }) => !isAbsent(said) || (made ?? []).length > 0, {
      path: ["content"],
      error: "must be a string or an array of text parts where there are no 'tool_calls'",
    }),
  z.strictObject({ role: z.literal("tool"), content, tool_call_id: callId, name: accepted }),
  refusedKind("role", "function"),
]);

type Message = z.output<typeof message>;

export const messages = onWire(
  z
    .array(z.unknown())
    .min(1)
    .max(messagesLimit)
    .pipe(z.array(message))
    .transform((list) => list.map(messageOf)),
  z.array(message).min(1).max(messagesLimit),
);

function messageOf(value: Message): TranscriptMessage {
  if ("tool_call_id" in value) return { role: "tool", content: value.content, callId: value.tool_call_id };
  const said = value.content ?? "";
  const made = ("tool_calls" in value ? value.tool_calls : undefined) as z.output<typeof calls> | null | undefined;
  // `developer` is the newer name of `system`; templates know the older one.
  const role = (value.role === "developer" ? "system" : value.role) as TranscriptMessage["role"];
  return {
    ...{ role, content: said },
    ...(typeof value.name === "string" ? { name: value.name } : {}),
    ...(isAbsent(made) || made.length === 0 ? {} : { calls: made }),
  };
}
