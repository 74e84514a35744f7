import type { TurnFinish } from "../../../contracts/finish.ts";
import type { ChatMessage } from "./chat-request.ts";
import { record } from "./failure.ts";
import { listAll } from "./list.ts";
import { sessionPath } from "./sessions.ts";

/** One turn of a session's transcript: what was added, and last the answer. */
export interface Turn {
  /** From 1. */
  readonly number: number;
  readonly messages: readonly ChatMessage[];
  readonly finish: TurnFinish;
}

export async function fetchTurns(session: string, signal: AbortSignal): Promise<Turn[]> {
  return turnsOf(await listAll(`${sessionPath(session)}/turns`, "number", signal));
}

/** What the page cannot read is left out: an unknown role has no place in its transcript. */
export function turnsOf(items: readonly unknown[]): Turn[] {
  return items.flatMap((item) => {
    const { number, messages, finish } = record(item) ?? {};
    if (typeof number !== "number" || !Array.isArray(messages)) return [];
    const ended = finish === "length" || finish === "cancelled" || finish === "failed" ? finish : "stop";
    return [{ number, messages: messages.flatMap(messageOf), finish: ended }];
  });
}

function messageOf(value: unknown): ChatMessage[] {
  const { role, content } = record(value) ?? {};
  if ((role !== "system" && role !== "user" && role !== "assistant") || typeof content !== "string") return [];
  return [{ role, content }];
}
