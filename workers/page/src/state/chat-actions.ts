import type { Answers } from "./answer.ts";
import { currentConversation, currentSettings, isRunning } from "./selectors.ts";
import { forkConversation } from "./sessions.ts";
import type { Store } from "./store.ts";
import type { UserMessage } from "./types.ts";

/** What a person can do with the open conversation. */
export interface ChatActions {
  readonly send: (text: string) => void;
  readonly stop: () => void;
  /** Answers the last message again; what the last answer was is dropped. */
  readonly regenerate: () => void;
  /** After a failure: takes the answer's stream up where there is one still, else answers again. */
  readonly retry: () => void;
  /** Replaces a message of the person, drops what follows and lets the model answer. */
  readonly edit: (messageId: string, text: string) => void;
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
    fork(messageId) {
      const conversation = current();
      if (conversation !== null) void forkConversation(store, conversation, messageId);
    },
  };
}

function beginConversation(store: Store): string {
  const { about } = store.get();
  const id = crypto.randomUUID();
  const settings = currentSettings(store.get());
  const conversation = { id, name: null, updatedAt: Date.now(), settings, messages: [], ...(about === null ? {} : { document: about }) };
  store.dispatch({ type: "conversation-created", conversation });
  return id;
}

function userMessage(text: string): UserMessage {
  return { id: crypto.randomUUID(), role: "user", text: text.trim() };
}
