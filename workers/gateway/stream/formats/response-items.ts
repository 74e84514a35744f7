/** Messages as the items of a response: one for what is said, one for each call of a function and for what it gave. */
import type { FunctionCall, TranscriptMessage } from "../../../contracts/transcript.ts";

/** With the fields of its kind, under their names on the wire. */
export interface Item {
  readonly id: string;
  readonly [field: string]: unknown;
}

export type ItemStatus = "in_progress" | "completed" | "incomplete";

const idDigits = 48;

/** Where in a conversation items stand. Their names are made of it, so that they are the same whenever they are asked for. */
export interface ItemPlace {
  /** What its name ends with tells one turn from all others: a response's id, or the name of its stream. */
  readonly of: string;
  /** The turn's number, by which an item is found; 0 outside sessions. */
  readonly turn: number;
  readonly side: "input" | "output";
}

const sides = { input: "i", output: "o" } as const;
const itemName = /^(?:msg|fc|fco)_[0-9a-z]{1,48}_([0-9]{1,15})[io][0-9]{1,15}$/;

export const itemId = (kind: "msg" | "fc" | "fco", { of, turn, side }: ItemPlace, number: number): string =>
  `${kind}_${of.replaceAll(/[^0-9a-z]/gi, "").slice(-idDigits)}_${String(turn)}${sides[side]}${String(number)}`;

/** The turn that an item of this name would be in; undefined for what is no item's name. */
export function turnOfItem(id: string): number | undefined {
  const [, turn] = itemName.exec(id) ?? [];
  return turn === undefined ? undefined : Number(turn);
}

export interface TextPart {
  readonly text: string;
  readonly logprobs: readonly object[];
}

export const textPart = ({ text, logprobs }: TextPart): object => ({ type: "output_text", text, annotations: [], logprobs });

export function answerItem(id: string, status: ItemStatus, parts: readonly TextPart[]): Item {
  return { id, type: "message", status, role: "assistant", content: parts.map(textPart) };
}

export function callItem(id: string, status: ItemStatus, call: FunctionCall): Item {
  return { id, type: "function_call", status, call_id: call.id, name: call.name, arguments: call.arguments };
}

/** All but the last are completed. */
export function itemsOf(place: ItemPlace, messages: readonly TranscriptMessage[], status: ItemStatus = "completed"): Item[] {
  const makers: ((status: ItemStatus) => Item)[] = [];
  const add = (kind: "msg" | "fc" | "fco", make: (id: string, status: ItemStatus) => Item) => {
    const id = itemId(kind, place, makers.length);
    makers.push((own) => make(id, own));
  };
  for (const { role, content, calls = [], callId } of messages) {
    if (role === "tool") {
      add("fco", (id, own) => ({ id, type: "function_call_output", status: own, call_id: callId ?? "", output: content }));
      continue;
    }
    if (role === "assistant") {
      if (content !== "" || calls.length === 0) add("msg", (id, own) => answerItem(id, own, [{ text: content, logprobs: [] }]));
    } else add("msg", (id, own) => ({ id, type: "message", status: own, role, content: [{ type: "input_text", text: content }] }));
    for (const call of calls) add("fc", (id, own) => callItem(id, own, call));
  }
  return makers.map((make, at) => make(at === makers.length - 1 ? status : "completed"));
}
