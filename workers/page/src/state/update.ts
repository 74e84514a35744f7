/** What the reducers share. */
import type { AssistantMessage, Conversation, Message, State } from "./types.ts";

export function updateConversation(state: State, id: string, update: (conversation: Conversation) => Conversation): State {
  const conversations = state.conversations.map((conversation) => (conversation.id === id ? update(conversation) : conversation));
  return { ...state, conversations: conversations.sort(newestFirst) };
}

export function updateAnswer(
  conversation: Conversation,
  messageId: string,
  update: (answer: AssistantMessage) => AssistantMessage,
): Conversation {
  const messages = conversation.messages.map((message) =>
    message.id === messageId && message.role === "assistant" ? update(message) : message,
  );
  return { ...conversation, messages };
}

export function newestFirst(left: Conversation, right: Conversation): number {
  return right.updatedAt - left.updatedAt;
}

/** The same without one optional property. */
export function without<T extends object, K extends keyof T>(value: T, name: K): Omit<T, K> {
  const { [name]: _dropped, ...rest } = value;
  return rest;
}

/** What an answer is once nothing feeds it any more and nothing can: after a reload, or when its conversation was deleted while it was written. */
export function interrupted(message: Message): Message {
  if (message.role === "user" || (message.status !== "waiting" && message.status !== "streaming")) return message;
  return { ...without(message, "stream"), status: "stopped" };
}
