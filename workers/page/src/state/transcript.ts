/** A session's transcript as the page's messages. */
import type { Turn } from "../api/turns.ts";
import type { AssistantMessage, Message } from "./types.ts";

/** As much of a document as names it where its own name is not known. */
const documentCharacters = 40;

export interface Transcript {
  readonly messages: readonly Message[];
  /** The system prompt it began with; empty without one. */
  readonly system: string;
  /** The beginning of the document it is about; null without one. */
  readonly document: string | null;
}

/** Turn 0 is a document's. `name` makes the messages' ids, which stay the same however often the transcript is read. */
export function transcriptOf(name: string, model: string, turns: readonly Turn[]): Transcript {
  const messages: Message[] = [];
  let system = "";
  let document: string | null = null;
  for (const turn of turns) {
    if (turn.number === 0) {
      document = turn.messages[0]?.content.slice(0, documentCharacters) ?? "";
      continue;
    }
    for (const [index, { role, content }] of turn.messages.entries()) {
      const id = `${name}.${turn.number}.${index}`;
      if (role === "system") system = content;
      else if (role === "user") messages.push({ id, role, text: content });
      else messages.push(answerOf(id, content, model, index === turn.messages.length - 1 ? turn : null));
    }
  }
  return { messages, system, document };
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
