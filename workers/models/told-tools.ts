/**
 * How a model is told of the functions that it may call. A chat template that has a place for them, and calls in our form, renders them itself, as
 * that of the Qwen2.5 family does. Every other model reads the words of that template at the end of its system message.
 */
import type { TranscriptMessage } from "../contracts/transcript.ts";
import type { ToldFunction } from "../contracts/tools.ts";
import type { ChatTemplate } from "../tokenizer/chat-template.ts";
import { callEnd, callStart, toolOfTemplate } from "./call-form.ts";
import { spokenMessages } from "./spoken-messages.ts";

/** What stands after the system message's own text. */
export function toldTools(tools: readonly ToldFunction[]): string {
  return [
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n",
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>",
    ...tools.map((tool) => JSON.stringify(toolOfTemplate(tool))),
    "</tools>\n",
    `For each function call, return a json object with function name and arguments within ${callStart}${callEnd} XML tags:`,
    `${callStart}\n{"name": <function-name>, "arguments": <args-json-object>}\n${callEnd}`,
  ].join("\n");
}

/** With the functions told at the end of the first system message, or in one of its own. */
export function withToolsTold(messages: readonly TranscriptMessage[], tools: readonly ToldFunction[]): readonly TranscriptMessage[] {
  if (tools.length === 0) return messages;
  const [first, ...rest] = messages;
  return first?.role === "system"
    ? [{ ...first, content: `${first.content}\n\n${toldTools(tools)}` }, ...rest]
    : [{ role: "system", content: toldTools(tools) }, ...messages];
}

const found = new WeakMap<ChatTemplate, boolean>();

/** Whether the template tells of functions itself; found out by a small conversation. */
export function tellsTools(template: ChatTemplate): boolean {
  const known = found.get(template) ?? tries(template);
  found.set(template, known);
  return known;
}

const probe: ToldFunction = { name: "probe_of_tools", parameters: '{"type":"object","properties":{}}' };
const asked: TranscriptMessage = { role: "user", content: "Is it?" };
const conversation: readonly TranscriptMessage[] = [
  asked,
  { role: "assistant", content: "", calls: [{ id: "call_000", name: probe.name, arguments: '{"a": 1}' }] },
  { role: "tool", content: "Yes.", callId: "call_000" },
];

function tries(template: ChatTemplate): boolean {
  const options = { tools: [toolOfTemplate(probe)], addGenerationPrompt: true };
  try {
    const first = template.renderToText(spokenMessages([asked]), options);
    if (!first.includes(probe.name)) return false;
    const spoken = template.renderToText(spokenMessages(conversation), options);
    const own = conversation.map(({ role, content, calls }) => ({
      role,
      content,
      ...(calls === undefined
        ? {}
        : { tool_calls: calls.map(({ id, name }) => ({ id, type: "function", function: { name, arguments: { a: 1 } } })) }),
    }));
    // Its calls are of our form, and what was read stays as it is when more is said.
    return spoken.startsWith(first) && template.renderToText(own, options) === spoken;
  } catch {
    return false;
  }
}
