import type { ConversationAction } from "./action.ts";
import type { Conversation, Message, Settings, State } from "./types.ts";
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

function replaceMessages(conversation: Conversation, change: { from?: string; added: readonly Message[]; now: number }): Conversation {
  const at = change.from === undefined ? -1 : conversation.messages.findIndex((message) => message.id === change.from);
  const kept = at < 0 ? conversation.messages : conversation.messages.slice(0, at);
  // An answer that is given up for another is no longer waited for.
  const ended = kept.map((message) => (message.role === "assistant" ? without(message, "stream") : message));
  return { ...conversation, messages: [...ended, ...change.added], updatedAt: change.now };
}
