/** Chat messages: text only, as strings or as text parts; anything else is refused by name. */
import * as z from "zod";
import { messagesLimit, partsLimit } from "./limits.ts";
import { isEmptyArray, onWire, refusedKind, unsupported } from "./parse.ts";

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
    z.array(z.unknown(), { error: "must be a string or an array of text parts" }).min(1).max(partsLimit),
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

const message = z.discriminatedUnion("role", [
  z.strictObject({ role: z.literal("system"), content, name }),
  z.strictObject({ role: z.literal("developer"), content, name }),
  z.strictObject({ role: z.literal("user"), content, name }),
  z.strictObject({
    role: z.literal("assistant"),
    content,
    name,
    // An answer of ours, sent back as it was received, carries these without meaning.
    refusal: unsupported((value) => value === ""),
    annotations: unsupported(isEmptyArray),
    audio: unsupported(),
    tool_calls: unsupported(isEmptyArray),
    function_call: unsupported(),
  }),
  refusedKind("role", "tool"),
  refusedKind("role", "function"),
]);

export interface TextMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
  readonly name?: string;
}

export const messages = onWire(
  z
    .array(z.unknown())
    .min(1)
    .max(messagesLimit)
    .pipe(z.array(message))
    .transform((list): TextMessage[] =>
      // `developer` is the newer name of `system`; templates know the older one.
      list.map((item) => ({
        role: item.role === "developer" ? "system" : (item.role as TextMessage["role"]),
        content: item.content,
        ...(typeof item.name === "string" ? { name: item.name } : {}),
      })),
    ),
  z.array(message).min(1).max(messagesLimit),
);
