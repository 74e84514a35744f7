/** A conversation's next turn as token ids: the first is a prompt as any other, later ones go on where the last one ended. */
import type { TranscriptMessage } from "../contracts/session.ts";
import { invalidRequest } from "../tokenizer/failures.ts";
import { renderChat } from "./render-chat.ts";
import type { ServedModel } from "./served-model.ts";
import { spokenMessages } from "./spoken-messages.ts";

/** What the conversation holds before the turn. */
export interface TurnPlace {
  /** Turns that have ended; 0 where there is nothing, or only a document. */
  readonly turns: number;
  readonly tokens: number;
}

/** The turn's own tokens; a conversation's first ones begin with its instructions. @throws ServiceError where messages can't stand there. */
export function turnPrompt(
  model: ServedModel,
  added: readonly TranscriptMessage[],
  { turns, tokens }: TurnPlace,
  instructions: string | null,
): Uint32Array {
  const last = added.at(-1)?.role;
  if (last !== "user" && last !== "tool")
    throw invalidRequest(
      `'messages': a turn of a session ends with the user's message, or with what a function gave; the last one is '${last ?? "none"}'.`,
      "messages",
    );
  const messages = turns === 0 && instructions !== null ? [{ role: "system", content: instructions } as const, ...added] : added;
  if (tokens === 0) return renderChat(model, messages);
  if (model.chatTemplate === null) throw invalidRequest(`The model '${model.card.id}' has no chat template.`, "session_id");
  if (messages.some(({ role }) => role === "assistant"))
    throw invalidRequest("'messages': only what is new is sent to a session; its answers it has.", "messages");
  return model.chatTemplate.renderContinuation(turns === 0 ? "system" : "assistant", spokenMessages(messages));
}
