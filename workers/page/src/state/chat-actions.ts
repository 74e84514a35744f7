import type { Answers } from "./answer.ts";
import { currentConversation, currentSettings, isRunning } from "./selectors.ts";
import { forkConversation } from "./sessions.ts";
import type { Store } from "./store.ts";
import type { Conversation, State, UserMessage } from "./types.ts";

/** What a person can do with the open conversation. */
export interface ChatActions {
  readonly send: (text: string) => void;
  readonly stop: () => void;
  /** Answers the last message again; the last answer stays as a version. */
  readonly regenerate: () => void;
  /** After a failure: takes the answer's stream up where there is one still, else answers again. */
  readonly retry: () => void;
  /** Replaces a message of the person and lets the model answer; the message and what followed it stay as a version. */
  readonly edit: (messageId: string, text: string) => void;
  /** Goes back to what stood, or on to what stands, in a message's place. */
  readonly chooseVersion: (messageId: string) => void;
  /** A new conversation that begins with this one, up to and with an answer. */
  readonly fork: (messageId: string) => void;
}

export function createChatActions(store: Store, answers: Answers): ChatActions {
  const current = () => currentConversation(store.get());

  function regenerate(): void {
    const conversation = current();
    const last = conversation?.messages.at(-1);
    if (conversation === null || last?.role !== "assistant" || isRunning(conversation)) return;
    answers.start(conversation.id, [], last.id);
  }

  return {
    send(text) {
      if (text.trim() === "" || isRunning(current())) return;
      const id = store.get().currentId ?? beginConversation(store);
      answers.start(id, [userMessage(text)]);
    },
    stop() {
      const { currentId } = store.get();
      if (currentId !== null) answers.stop(currentId);
    },
    regenerate,
    retry() {
      const conversation = current();
      const last = conversation?.messages.at(-1);
      if (conversation !== null && last?.role === "assistant" && last.stream !== undefined) answers.resume(conversation.id, last);
      else regenerate();
    },
    edit(messageId, text) {
      const conversation = current();
      if (conversation === null || text.trim() === "") return;
      answers.start(conversation.id, [userMessage(text)], messageId);
    },
    chooseVersion(messageId) {
      const conversation = current();
      if (conversation !== null && !isRunning(conversation)) store.dispatch({ type: "version-chosen", id: conversation.id, messageId });
    },
    fork(messageId) {
      const conversation = current();
      if (conversation !== null) void forkConversation(store, conversation, messageId);
    },
  };
}

function beginConversation(store: Store): string {
  const conversation = newConversation(store.get());
  store.dispatch({ type: "conversation-created", conversation });
  return conversation.id;
}

/** What the first message begins. */
export function newConversation(state: State): Conversation {
  const { about } = state;
  const settings = currentSettings(state);
  const document = about === null ? {} : { document: about };
  return { id: crypto.randomUUID(), name: null, updatedAt: Date.now(), settings, messages: [], ...document };
}

export function userMessage(text: string): UserMessage {
  return { id: crypto.randomUUID(), role: "user", text: text.trim() };
}
