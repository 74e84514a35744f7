/**
 * Messages with function calls and with speakers' names as messages of text: a call is a block at the end of what the assistant says
 * (`call-form.ts`), what functions gave are `<tool_response>` blocks in a message of the user's, and a name stands in front of what its speaker
 * says. So every chat template renders them, also one that knows of none of these.
 */
import type { FunctionCall, TranscriptMessage } from "../contracts/transcript.ts";
import { callText } from "./call-form.ts";

export interface SpokenMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** @param open are the calls of an answer before all of these. */
export function spokenMessages(messages: readonly TranscriptMessage[], open: readonly FunctionCall[] = []): SpokenMessage[] {
  const spoken: SpokenMessage[] = [];
  let results: TranscriptMessage[] = [];
  let called = open;
  const sayResults = () => {
    if (results.length > 0) spoken.push({ role: "user", content: inOrder(results, called).map(resultText).join("\n") });
    results = [];
  };
  for (const message of messages) {
    const { role, content, name, calls = [] } = message;
    if (role === "tool") {
      results.push(message);
      continue;
    }
    sayResults();
    if (role === "assistant") called = calls;
    spoken.push({
      role,
      content: [...(content === "" && calls.length > 0 ? [] : [named(name, content)]), ...calls.map(callText)].join("\n"),
    });
  }
  sayResults();
  return spoken;
}

const named = (name: string | undefined, content: string): string => (name === undefined ? content : `${name}: ${content}`);
const resultText = ({ content }: TranscriptMessage): string => `<tool_response>\n${content}\n</tool_response>`;

/** Spoken, results have no ids: which call each is of is known by their order alone. */
function inOrder(results: readonly TranscriptMessage[], calls: readonly FunctionCall[]): readonly TranscriptMessage[] {
  const places = new Map(calls.map(({ id }, at) => [id, at]));
  const placeOf = ({ callId = "" }: TranscriptMessage) => places.get(callId) ?? calls.length;
  return results.toSorted((left, right) => placeOf(left) - placeOf(right));
}
