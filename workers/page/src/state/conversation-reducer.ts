import type { ConversationAction } from "./action.ts";
import { asVersion, chooseVersion, leaveCourse } from "./branches.ts";
import type { Settings } from "../api/chat-request.ts";
import type { Conversation, Message, State } from "./types.ts";
import { interrupted, newestFirst, updateConversation, without } from "./update.ts";

export function reduceConversation(state: State, action: ConversationAction): State {
  switch (action.type) {
    case "settings-changed":
      return changeSettings(state, action.settings, action.now);
    case "conversations-loaded":
      // Whatever was begun before the history had been read stays on top.
      return {
        ...state,
        conversations: [...state.conversations, ...action.conversations].sort(newestFirst),
        currentId: state.currentId ?? action.currentId,
      };
    case "conversation-opened":
      return { ...state, currentId: action.id, about: action.about ?? null, shared: null };
    case "conversation-created":
      return {
        ...state,
        conversations: [action.conversation, ...state.conversations],
        currentId: action.conversation.id,
        about: null,
        shared: null,
      };
    case "conversation-renamed":
      return updateConversation(state, action.id, (conversation) => ({ ...conversation, name: action.name.trim() || null }));
    case "conversation-deleted":
      return deleteConversation(state, action.id);
    case "conversation-restored":
      if (state.deleted === null) return state;
      return {
        ...state,
        conversations: [...state.conversations, state.deleted].sort(newestFirst),
        currentId: state.deleted.id,
        deleted: null,
      };
    case "deletion-settled":
      return state.deleted?.id === action.id ? { ...state, deleted: null } : state;
    case "messages-replaced":
      return updateConversation(state, action.id, (conversation) => replaceMessages(conversation, action));
    case "version-chosen":
      return updateConversation(state, action.id, (conversation) => chooseVersion(conversation, action.messageId));
  }
}

function changeSettings(state: State, settings: Settings, now: number): State {
  const changed = { ...state, preferences: { ...state.preferences, settings } };
  return state.currentId === null
    ? changed
    : updateConversation(changed, state.currentId, (conversation) => ({ ...conversation, settings, updatedAt: now }));
}

function deleteConversation(state: State, id: string): State {
  const deleted = state.conversations.find((conversation) => conversation.id === id);
  if (deleted === undefined) return state;
  return {
    ...state,
    conversations: state.conversations.filter((conversation) => conversation.id !== id),
    currentId: state.currentId === id ? null : state.currentId,
    deleted: { ...deleted, messages: deleted.messages.map(interrupted) },
  };
}

/** The conversation with new messages at its end, or in the place of message `from`; what they replace stays as a branch. */
export function replaceMessages(
  conversation: Conversation,
  change: { readonly from?: string; readonly added: readonly Message[]; readonly now: number },
): Conversation {
  const { messages } = conversation;
  const found = change.from === undefined ? -1 : messages.findIndex((message) => message.id === change.from);
  const at = found < 0 ? messages.length : found;
  const left = leaveCourse(conversation, at);
  // An answer that is given up for another is no longer waited for.
  const ended = left.messages.map((message) => (message.role === "assistant" ? without(message, "stream") : message));
  const added = change.added.map((message, index) => (index === 0 ? asVersion(left, at, message) : message));
  return { ...left, messages: [...ended, ...added], updatedAt: change.now };
}
