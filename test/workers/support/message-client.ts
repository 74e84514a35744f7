/** A client of Anthropic's messages. */
import { expect } from "vitest";
import { messageEvent } from "../../../workers/gateway/openapi/message-answers.ts";
import { dataLines, post, type Json } from "./gateway-client.ts";

export const hi: Json = { model: "tiny", max_tokens: 8, messages: [{ role: "user", content: "hi" }] };
export const message = (body: Json = {}) => post("/v1/messages", { ...hi, ...body });

export interface MessageEvent {
  readonly type: string;
  readonly delta?: { readonly text?: string; readonly partial_json?: string; readonly stop_reason?: string };
  readonly message?: { readonly usage: Json };
  readonly usage?: Json;
}
/** Each under the name that its data has, and of a shape that the API's document has. */
export function messageEvents(text: string): MessageEvent[] {
  const events = dataLines(text).map((line) => messageEvent.parse(JSON.parse(line)) as MessageEvent);
  const names = text.split("\n").flatMap((line) => (line.startsWith("event: ") ? [line.slice("event: ".length)] : []));
  expect(names).toEqual(events.map(({ type }) => type));
  return events;
}

export const lookUp = {
  name: "look_up",
  description: "Looks a word up.",
  input_schema: {
    type: "object",
    properties: { word: { enum: ["sea", "land"] } },
    required: ["word"],
    additionalProperties: false,
  },
};
export const called = { type: "tool_use", id: "call_1", name: "look_up", input: { word: "sea" } };
