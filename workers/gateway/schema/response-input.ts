/** The input of a response: text, or items of a conversation. What other items and parts there are is refused by name. */
import * as z from "zod";
import type { TranscriptMessage } from "../../contracts/transcript.ts";
import { messagesLimit, partsLimit } from "./limits.ts";
import { accepted, anyArray, isJsonObject, onWire, refusedKind, unsupported } from "./parse.ts";

const refusedPart = (kind: string) => refusedKind("type", kind, "items hold text only");
const refusedItem = (kind: string) => refusedKind("type", kind, "items are messages, function calls and what these gave");

const part = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("input_text"), text: z.string(), prompt_cache_breakpoint: accepted }),
  // An answer's, sent back as it was received.
  z.strictObject({ type: z.literal("output_text"), text: z.string(), annotations: accepted, logprobs: accepted, parsed: accepted }),
  ...["refusal", "input_image", "input_file", "input_audio"].map(refusedPart),
]);

/** Text parts are paragraphs of one text. */
const text = onWire(
  z
    .preprocess(
      (value) => (typeof value === "string" ? [{ type: "input_text", text: value }] : value),
      anyArray("must be a string or an array of text parts").max(partsLimit),
    )
    .pipe(z.array(part))
    .transform((list) => list.map((one) => ("text" in one ? one.text : "")).join("\n")),
  z.union([z.string(), z.array(part).max(partsLimit)]),
);

/** What items that come from a response carry, and what means nothing to who reads them. */
const itemFields = { id: accepted, status: accepted };

const callId = z.string().min(1).max(256);

const item = z.discriminatedUnion("type", [
  z.strictObject({
    ...itemFields,
    type: z.literal("message"),
    role: z.enum(["user", "assistant", "system", "developer"]),
    content: text,
    phase: accepted,
  }),
  z.strictObject({
    ...itemFields,
    type: z.literal("function_call"),
    call_id: callId,
    name: z.string().min(1).max(256),
    arguments: z.string().refine(isJsonObject, { error: "must be a JSON object as text" }),
    /** What the openai client has read of them. */
    parsed_arguments: accepted,
    namespace: unsupported(),
    caller: unsupported(),
    async: unsupported((value) => value === false),
  }),
  z.strictObject({
    ...itemFields,
    type: z.literal("function_call_output"),
    call_id: callId,
    output: text,
    name: accepted,
    namespace: unsupported(),
    caller: unsupported(),
  }),
  ...["item_reference", "reasoning", "compaction", "additional_tools", "configuration_update"].map(refusedItem),
  ...["file_search_call", "web_search_call", "image_generation_call", "code_interpreter_call"].map(refusedItem),
  ...["computer_call", "computer_call_output", "local_shell_call", "local_shell_call_output"].map(refusedItem),
  ...["shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output"].map(refusedItem),
  ...["custom_tool_call", "custom_tool_call_output", "tool_search_call", "tool_search_output"].map(refusedItem),
  ...["mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "mcp_call"].map(refusedItem),
]);

type Item = z.output<typeof item>;

/** A message needs no type. */
const typed = (value: unknown): unknown =>
  typeof value === "object" && value !== null && (!("type" in value) || value.type === null) ? { ...value, type: "message" } : value;

function messageOf(value: Item): TranscriptMessage {
  if ("arguments" in value)
    return { role: "assistant", content: "", calls: [{ id: value.call_id, name: value.name, arguments: value.arguments }] };
  if ("output" in value) return { role: "tool", content: value.output, callId: value.call_id };
  if ("content" in value)
    return { role: value.role === "developer" ? "system" : (value.role as TranscriptMessage["role"]), content: value.content };
  throw new Error("a refused item has no message");
}

/** An item each for what the assistant says and for each of its calls, which are one message to the model. */
function joinCalls(messages: readonly TranscriptMessage[]): TranscriptMessage[] {
  const joined: TranscriptMessage[] = [];
  for (const one of messages) {
    const before = joined.at(-1);
    const { calls = [] } = one;
    if (calls.length > 0 && before?.role === "assistant") joined.splice(-1, 1, { ...before, calls: [...(before.calls ?? []), ...calls] });
    else joined.push(one);
  }
  return joined;
}

export const responseInput = onWire(
  z
    .preprocess(
      (value) => (typeof value === "string" ? [{ role: "user", content: value }] : value),
      anyArray("must be a string or an array of items").min(1).max(messagesLimit),
    )
    .transform((list) => list.map(typed))
    .pipe(z.array(item))
    .transform((list) => joinCalls(list.map(messageOf))),
  z.union([z.string(), z.array(item).min(1).max(messagesLimit)]),
);
