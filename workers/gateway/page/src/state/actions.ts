import { createAnswers } from "./answer.ts";
import { currentConversation, currentSettings, isRunning } from "./selectors.ts";
import type { Store } from "./store.ts";
import type { Preferences, Settings, UserMessage } from "./types.ts";

/** Long enough to notice a mistake. */
const UNDO_TIME_MS = 8_000;

/** What a person can do. Each is safe to call at any time: what makes no sense right now does nothing. */
export interface Actions {
  readonly send: (text: string) => void;
  readonly stop: () => void;
  /** Answers the last message again; what the last answer was is dropped. */
  readonly regenerate: () => void;
  /** Replaces a message of the person, drops what follows and lets the model answer. */
  readonly edit: (messageId: string, text: string) => void;
  readonly newChat: () => void;
  readonly open: (id: string) => void;
  readonly rename: (id: string, name: string) => void;
  readonly remove: (id: string) => void;
  readonly undoRemove: () => void;
  readonly dismissUndo: () => void;
  readonly changeSettings: (settings: Settings) => void;
  readonly changePreferences: (preferences: Partial<Preferences>) => void;
}

export function createActions(store: Store): Actions {
  const answers = createAnswers(store);

  function running(): boolean {
    return isRunning(currentConversation(store.get()));
  }

  return {
    send(text) {
      if (text.trim() === "" || running()) return;
      const id = store.get().currentId ?? beginConversation(store);
      answers.start(id, [userMessage(text)]);
    },
    stop() {
      const { currentId } = store.get();
      if (currentId !== null) answers.stop(currentId);
    },
    regenerate() {
      const conversation = currentConversation(store.get());
      const last = conversation?.messages.at(-1);
      if (conversation === null || last?.role !== "assistant" || running()) return;
      answers.start(conversation.id, [], last.id);
    },
    edit(messageId, text) {
      const conversation = currentConversation(store.get());
      if (conversation === null || text.trim() === "") return;
      answers.start(conversation.id, [userMessage(text)], messageId);
    },
    newChat() {
      store.dispatch({ type: "conversation-opened", id: null });
    },
    open(id) {
      store.dispatch({ type: "conversation-opened", id });
    },
    rename(id, name) {
      store.dispatch({ type: "conversation-renamed", id, name });
    },
    remove(id) {
      answers.stop(id);
      store.dispatch({ type: "conversation-deleted", id });
      setTimeout(() => store.dispatch({ type: "deletion-settled", id }), UNDO_TIME_MS);
    },
    undoRemove() {
      store.dispatch({ type: "conversation-restored" });
    },
    dismissUndo() {
      const id = store.get().deleted?.id;
      if (id !== undefined) store.dispatch({ type: "deletion-settled", id });
    },
    changeSettings(settings) {
      store.dispatch({ type: "settings-changed", settings, now: Date.now() });
    },
    changePreferences(preferences) {
      store.dispatch({ type: "preferences-changed", preferences });
    },
  };
}

function beginConversation(store: Store): string {
  const id = crypto.randomUUID();
  const settings = currentSettings(store.get());
  store.dispatch({ type: "conversation-created", conversation: { id, name: null, updatedAt: Date.now(), settings, messages: [] } });
  return id;
}

function userMessage(text: string): UserMessage {
  return { id: crypto.randomUUID(), role: "user", text: text.trim() };
}
