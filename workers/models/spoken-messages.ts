/**
 * Messages with function calls and with speakers' names as messages of text, in the form that the Qwen2.5 and Hermes families were taught: a call is a `<tool_call>` block at
 * the end of what the assistant says, what functions gave are `<tool_response>` blocks in a message of the user's, and a name stands in front of
 * what its speaker says. So every chat template renders them, also one that knows of none of these.
 */
import type { FunctionCall, TranscriptMessage } from "../contracts/session.ts";

export interface SpokenMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export function spokenMessages(messages: readonly TranscriptMessage[]): SpokenMessage[] {
  const spoken: SpokenMessage[] = [];
  for (const [at, { role, content, name, calls = [] }] of messages.entries()) {
    if (role !== "tool") {
      spoken.push({
        role,
        content: [...(content === "" && calls.length > 0 ? [] : [named(name, content)]), ...calls.map(callText)].join("\n"),
      });
      continue;
    }
    const result = `<tool_response>\n${content}\n</tool_response>`;
    // Results that follow one another are one message.
    const before = messages[at - 1]?.role === "tool" ? spoken.pop() : undefined;
    spoken.push({ role: "user", content: before === undefined ? result : `${before.content}\n${result}` });
  }
  return spoken;
}

const named = (name: string | undefined, content: string): string => (name === undefined ? content : `${name}: ${content}`);

/** As a call stands in what the assistant says. */
export const callText = ({ name, arguments: given }: Pick<FunctionCall, "name" | "arguments">): string =>
  `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": ${given}}\n</tool_call>`;
