/** What is said in Anthropic's messages: text, calls of functions (`tool_use`) and what these gave (`tool_result`), as messages of a transcript. */
import * as z from "zod";
import type { TranscriptMessage } from "../../contracts/transcript.ts";
import { partsLimit } from "./limits.ts";
import { accepted, anyArray, isEmptyArray, onWire, refusedKind, unsupported } from "./parse.ts";

/** Asks for what is done anyway: with a key, the state of what a prompt begins with is kept. */
export const cacheControl = z.strictObject({ type: z.literal("ephemeral"), ttl: z.enum(["5m", "1h"]).nullish() }).nullish();

const callId = z.string().min(1).max(256);

const textBlock = z.strictObject({
  type: z.literal("text"),
  text: z.string(),
  cache_control: cacheControl,
  citations: unsupported(isEmptyArray),
});

const refusedBlock = (kind: string) => refusedKind("type", kind, "messages hold text, calls of functions and what these gave");

const refusedBlocks = [
  ...["image", "document", "search_result", "thinking", "redacted_thinking", "server_tool_use", "web_search_tool_result"],
  ...["web_fetch_tool_result", "code_execution_tool_result", "container_upload", "tool_reference"],
].map(refusedBlock);

const textOnly = z.discriminatedUnion("type", [textBlock, ...refusedBlocks]);

const asBlocks = (value: unknown): unknown => (typeof value === "string" ? [{ type: "text", text: value }] : value);
const blocks = anyArray("must be a string or an array of blocks").max(partsLimit);

/** Blocks are paragraphs of one text. */
const joined = (list: readonly unknown[]): string => list.map((one) => (one as { readonly text: string }).text).join("\n");

export const text = onWire(
  z.preprocess(asBlocks, blocks).pipe(z.array(textOnly)).transform(joined),
  z.union([z.string(), z.array(textOnly).max(partsLimit)]),
);

const block = z.discriminatedUnion("type", [
  textBlock,
  z.strictObject({
    type: z.literal("tool_use"),
    id: callId,
    name: z.string().min(1).max(256),
    input: z.record(z.string(), z.unknown()),
    cache_control: cacheControl,
    // An answer of ours, sent back as it was received, carries it.
    caller: accepted,
  }),
  z.strictObject({
    type: z.literal("tool_result"),
    tool_use_id: callId,
    content: text.nullish(),
    is_error: z.boolean().nullish(),
    cache_control: cacheControl,
  }),
  ...refusedBlocks,
]);

type Block = z.output<typeof block>;

const content = onWire(z.preprocess(asBlocks, blocks).pipe(z.array(block)), z.union([z.string(), z.array(block).max(partsLimit)]));

export const message = z
  .strictObject({ role: z.enum(["user", "assistant", "system"]), content })
  .superRefine(({ role, content: said }, context) => {
    for (const [at, one] of said.entries())
      for (const [kind, speaker] of speakers)
        if (one.type === kind && role !== speaker)
          context.addIssue({
            code: "custom",
            path: ["content", at, "type"],
            message: `must be in a message of the role '${speaker}'`,
            input: kind,
          });
  });

const speakers = [
  ["tool_use", "assistant"],
  ["tool_result", "user"],
] as const;

/** A message of a transcript, and where the request has it. */
export interface PlacedMessage {
  readonly message: TranscriptMessage;
  readonly path: readonly (string | number)[];
}

/** What functions gave are messages of their own; what else one message holds is one. */
export function placedMessages({ role, content: said }: z.output<typeof message>, at: number): PlacedMessage[] {
  const placed: PlacedMessage[] = [];
  const rest: Block[] = [];
  for (const [place, one] of said.entries()) {
    if (!("tool_use_id" in one)) {
      rest.push(one);
      continue;
    }
    const told = `${one.is_error === true ? "Error: " : ""}${one.content ?? ""}`;
    const path = ["messages", at, "content", place, "tool_use_id"];
    placed.push({ message: { role: "tool", content: told, callId: one.tool_use_id }, path });
  }
  const calls = rest.flatMap((one) => ("input" in one ? [{ id: one.id, name: one.name, arguments: JSON.stringify(one.input) }] : []));
  const texts = rest.filter((one) => "text" in one);
  if (placed.length > 0 && rest.length === 0) return placed;
  const message = { role, content: joined(texts), ...(calls.length === 0 ? {} : { calls }) };
  return [...placed, { message, path: ["messages", at] }];
}
