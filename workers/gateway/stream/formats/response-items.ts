/** Messages as the items of a response: one for what is said, one for each call of a function and for what it gave. */
import type { TranscriptMessage } from "../../../contracts/session.ts";

/** With the fields of its kind, under their names on the wire. */
export interface Item {
  readonly id: string;
  readonly [field: string]: unknown;
}

export type ItemStatus = "in_progress" | "completed" | "incomplete";

const idDigits = 48;

/** Names of a response's items: made of its own, so that they are the same whenever it is asked for. */
export function itemId(kind: "msg" | "fc" | "fco", response: string, place: string): string {
  return `${kind}_${response.replaceAll(/[^0-9a-z]/gi, "").slice(-idDigits)}_${place}`;
}

export interface TextPart {
  readonly text: string;
  readonly logprobs: readonly object[];
}

export const textPart = ({ text, logprobs }: TextPart): object => ({ type: "output_text", text, annotations: [], logprobs });

export function answerItem(id: string, status: ItemStatus, parts: readonly TextPart[]): Item {
  return { id, type: "message", status, role: "assistant", content: parts.map(textPart) };
}

/** `place` names where in the response they stand: each item's id has its number behind it. */
export function itemsOf(response: string, place: string, messages: readonly TranscriptMessage[], status: ItemStatus = "completed"): Item[] {
  const items: Item[] = [];
  const add = (kind: "msg" | "fc" | "fco", make: (id: string) => Item) => {
    items.push(make(itemId(kind, response, `${place}${String(items.length)}`)));
  };
  for (const { role, content, calls = [], callId } of messages) {
    if (role === "tool") {
      add("fco", (id) => ({ id, type: "function_call_output", status, call_id: callId ?? "", output: content }));
      continue;
    }
    if (role === "assistant") {
      if (content !== "" || calls.length === 0) add("msg", (id) => answerItem(id, status, [{ text: content, logprobs: [] }]));
    } else add("msg", (id) => ({ id, type: "message", status, role, content: [{ type: "input_text", text: content }] }));
    for (const call of calls)
      add("fc", (id) => ({ id, type: "function_call", status, call_id: call.id, name: call.name, arguments: call.arguments }));
  }
  return items;
}

/** What the answer's items are named by, and what the request's. */
export const [outputPlace, inputPlace] = ["o", "i"] as const;
