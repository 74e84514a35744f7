/** A conversation's next turn as token ids: the first is a prompt as any other, later ones go on where the last one ended. */
import type { FunctionCall, TranscriptMessage } from "../contracts/transcript.ts";
import type { TurnOrder } from "../contracts/session.ts";
import { unmatchedResult, type ToldFunction } from "../contracts/tools.ts";
import { invalidRequest } from "../tokenizer/failures.ts";
import { renderChat } from "./render-chat.ts";
import type { ServedModel } from "./served-model.ts";
import { spokenMessages } from "./spoken-messages.ts";
import { withToolsTold } from "./told-tools.ts";

/** What the conversation holds before the turn. */
export interface TurnPlace {
  /** Turns that have ended; 0 where there is nothing, or only a document. */
  readonly turns: number;
  readonly tokens: number;
  /** Functions that the turn before it called. */
  readonly calls?: readonly FunctionCall[];
}

/** What stands before the first turn's own messages. */
export interface TurnOpening {
  readonly instructions: string | null;
  readonly tools: readonly ToldFunction[];
}

export const openingOfTurn = ({ instructions = null, tools = [] }: Pick<TurnOrder, "instructions" | "tools">): TurnOpening => ({
  instructions,
  tools,
});

/** The turn's own tokens; a conversation's first ones begin with its instructions and tools. @throws ServiceError where messages can't stand there. */
export function turnPrompt(
  model: ServedModel,
  added: readonly TranscriptMessage[],
  { turns, tokens, calls = [] }: TurnPlace,
  { instructions, tools }: TurnOpening,
): Uint32Array {
  const last = added.at(-1)?.role;
  if (last !== "user" && last !== "tool")
    throw invalidRequest(
      `'messages': a turn of a session ends with the user's message, or with what a function gave; the last one is '${last ?? "none"}'.`,
      "messages",
    );
  const unmatched = unmatchedResult(added, calls);
  if (unmatched !== undefined) {
    const field = `messages[${String(unmatched.at)}].tool_call_id`;
    throw invalidRequest(`'${field}': must be the id of a call before it${unmatched.why}.`, field);
  }
  const messages = turns === 0 && instructions !== null ? [{ role: "system", content: instructions } as const, ...added] : added;
  if (tokens === 0) return renderChat(model, messages, { tools: turns === 0 ? tools : [] });
  if (model.chatTemplate === null) throw invalidRequest(`The model '${model.card.id}' has no chat template.`, "session_id");
  if (messages.some(({ role }) => role === "assistant"))
    throw invalidRequest("'messages': only what is new is sent to a session; its answers it has.", "messages");
  // A document is the beginning of a system message that was read before: functions are told of after it.
  if (turns === 0) return model.chatTemplate.renderContinuation("system", spokenMessages(withToolsTold(messages, tools)));
  return model.chatTemplate.renderContinuation("assistant", spokenMessages(messages, calls));
}
