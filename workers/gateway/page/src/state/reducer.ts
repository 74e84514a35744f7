import type { FinishReason } from "../api/chat-stream.ts";
import type { Failure } from "../api/failure.ts";
import type { ServedModel } from "../api/model.ts";
import type { AssistantMessage, Conversation, Measure, Message, Preferences, Settings, State } from "./types.ts";

export type Action =
  | { readonly type: "model-loaded"; readonly model: ServedModel }
  | { readonly type: "model-failed"; readonly failure: Failure }
  | { readonly type: "online-changed"; readonly online: boolean }
  | { readonly type: "preferences-changed"; readonly preferences: Partial<Preferences> }
  | { readonly type: "settings-changed"; readonly settings: Settings; readonly now: number }
  | { readonly type: "conversations-loaded"; readonly conversations: readonly Conversation[]; readonly currentId: string | null }
  | { readonly type: "conversation-opened"; readonly id: string | null }
  | { readonly type: "conversation-created"; readonly conversation: Conversation }
  | { readonly type: "conversation-renamed"; readonly id: string; readonly name: string }
  | { readonly type: "conversation-deleted"; readonly id: string }
  | { readonly type: "conversation-restored" }
  | { readonly type: "deletion-settled"; readonly id: string }
  /** Drops message `from` and all after it (where given), then adds these. */
  | {
      readonly type: "messages-replaced";
      readonly id: string;
      readonly from?: string;
      readonly added: readonly Message[];
      readonly now: number;
    }
  | { readonly type: "answer-grew"; readonly id: string; readonly messageId: string; readonly text: string; readonly measure: Measure }
  /** Before its first text: the prompt is being read. */
  | { readonly type: "answer-measured"; readonly id: string; readonly messageId: string; readonly measure: Measure }
  | {
      readonly type: "answer-ended";
      readonly id: string;
      readonly messageId: string;
      readonly status: "done" | "stopped" | "failed";
      readonly measure: Measure;
      readonly finishReason?: FinishReason;
      readonly failure?: Failure;
      readonly now: number;
    };

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case "model-loaded":
      return { ...state, model: action.model, modelFailure: null };
    case "model-failed":
      return { ...state, modelFailure: action.failure };
    case "online-changed":
      return { ...state, online: action.online };
    case "preferences-changed":
      return { ...state, preferences: { ...state.preferences, ...action.preferences } };
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
      return { ...state, currentId: action.id };
    case "conversation-created":
      return { ...state, conversations: [action.conversation, ...state.conversations], currentId: action.conversation.id };
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
    case "answer-grew":
      return updateAnswer(state, action.id, action.messageId, (answer) => ({
        ...answer,
        status: "streaming",
        text: answer.text + action.text,
        measure: action.measure,
      }));
    case "answer-measured":
      return updateAnswer(state, action.id, action.messageId, (answer) => ({ ...answer, measure: action.measure }));
    case "answer-ended":
      return updateAnswer(
        state,
        action.id,
        action.messageId,
        (answer) => ({
          ...answer,
          status: action.status,
          measure: action.measure,
          ...(action.finishReason === undefined ? {} : { finishReason: action.finishReason }),
          ...(action.failure === undefined ? {} : { failure: action.failure }),
        }),
        action.now,
      );
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
  return { ...conversation, messages: [...kept, ...change.added], updatedAt: change.now };
}

function updateConversation(state: State, id: string, update: (conversation: Conversation) => Conversation): State {
  const conversations = state.conversations.map((conversation) => (conversation.id === id ? update(conversation) : conversation));
  return { ...state, conversations: conversations.sort(newestFirst) };
}

function updateAnswer(
  state: State,
  id: string,
  messageId: string,
  update: (answer: AssistantMessage) => AssistantMessage,
  now?: number,
): State {
  return updateConversation(state, id, (conversation) => ({
    ...conversation,
    updatedAt: now ?? conversation.updatedAt,
    messages: conversation.messages.map((message) =>
      message.id === messageId && message.role === "assistant" ? update(message) : message,
    ),
  }));
}

function newestFirst(left: Conversation, right: Conversation): number {
  return right.updatedAt - left.updatedAt;
}

/** What an answer is once nothing feeds it any more: after a reload, or when its conversation was deleted while it was written. */
export function interrupted(message: Message): Message {
  if (message.role === "user" || (message.status !== "waiting" && message.status !== "streaming")) return message;
  return { ...message, status: "stopped" };
}
