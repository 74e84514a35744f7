/** A session's transcript as the page's messages. */
import type { Turn } from "../api/turns.ts";
import type { AssistantMessage, Message } from "./types.ts";

export interface Transcript {
  readonly messages: readonly Message[];
  /** The system prompt it began with; empty without one. */
  readonly system: string;
}

/** `name` makes the messages' ids, which stay the same however often the transcript is read. */
export function transcriptOf(name: string, model: string, turns: readonly Turn[]): Transcript {
  const messages: Message[] = [];
  let system = "";
  for (const turn of turns) {
    for (const [index, { role, content }] of turn.messages.entries()) {
      const id = `${name}.${turn.number}.${index}`;
      if (role === "system") system = content;
      else if (role === "user") messages.push({ id, role, text: content });
      else messages.push(answerOf(id, content, model, index === turn.messages.length - 1 ? turn : null));
    }
  }
  return { messages, system };
}

function answerOf(id: string, text: string, model: string, turn: Turn | null): AssistantMessage {
  const cut = turn?.finish === "cancelled" || turn?.finish === "failed";
  return {
    id,
    role: "assistant",
    text,
    status: cut ? "stopped" : "done",
    model,
    measure: { deltas: 0, streamingMs: 0 },
    ...(turn?.finish === "length" ? { finishReason: "length" } : {}),
    ...(turn === null ? {} : { turn: turn.number }),
  };
}
