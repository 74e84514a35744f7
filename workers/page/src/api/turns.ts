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
  const names = new Map<string, string>();
  return items.flatMap((item) => {
    const { number, messages, finish } = record(item) ?? {};
    if (typeof number !== "number" || !Array.isArray(messages)) return [];
    const ended = finish === "length" || finish === "cancelled" || finish === "failed" ? finish : "stop";
    return [{ number, messages: messages.flatMap((message) => messageOf(message, names)), finish: ended }];
  });
}

/** Calls of functions are shown as code at the end of an answer, and what they gave as what was said to it. */
function messageOf(value: unknown, names: Map<string, string>): ChatMessage[] {
  const { role, content, tool_calls: calls, tool_call_id: callId } = record(value) ?? {};
  if (typeof content !== "string") return [];
  if (role === "tool") return [{ role: "user", content: `${names.get(String(callId)) ?? ""}() → ${content}` }];
  if (role !== "system" && role !== "user" && role !== "assistant") return [];
  const shown = (Array.isArray(calls) ? calls : []).flatMap((call) => callOf(call, names));
  return [{ role, content: [...(content === "" && shown.length > 0 ? [] : [content]), ...shown].join("\n\n") }];
}

function callOf(value: unknown, names: Map<string, string>): string[] {
  const { id, function: called } = record(value) ?? {};
  const { name, arguments: given } = record(called) ?? {};
  if (typeof name !== "string" || typeof given !== "string") return [];
  names.set(String(id), name);
  const fence = "`".repeat(Math.max(3, ...[...given.matchAll(/`+/g)].map(([ticks]) => ticks.length + 1)));
  return [`${fence}js\n${name}(${given})\n${fence}`];
}
