import { newConversation, userMessage } from "./chat-actions.ts";
import { replaceMessages } from "./conversation-reducer.ts";
import { currentConversation } from "./selectors.ts";
import { planTurn, type TurnPlan } from "./turn-plan.ts";
import type { Conversation, State } from "./types.ts";

/**
 * What this page would send next, by the same functions that send it: the draft where there is one; else the last message again, as
 * “Regenerate” does; else `example`. Null while no model is known.
 */
export function nextTurn(state: State, draft: string, example: string): TurnPlan | null {
  if (state.model === null) return null;
  const conversation = asked(currentConversation(state) ?? newConversation(state), draft, example);
  return planTurn(state.model, conversation, conversation.messages, state.keepsSessions);
}

function asked(conversation: Conversation, draft: string, example: string): Conversation {
  const now = Date.now();
  const last = conversation.messages.at(-1);
  if (draft.trim() !== "") return replaceMessages(conversation, { added: [userMessage(draft)], now });
  if (last === undefined) return replaceMessages(conversation, { added: [userMessage(example)], now });
  return last.role === "user" ? conversation : replaceMessages(conversation, { from: last.id, added: [], now });
}
