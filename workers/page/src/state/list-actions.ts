import type { Answers } from "./answer.ts";
import { sessionsOf } from "./branches.ts";
import type { Device } from "./device.ts";
import { conversationTitle } from "./selectors.ts";
import { cancelRemoval, catchUp, planRemoval, removeSession, renameAtServer } from "./sessions.ts";
import type { Store } from "./store.ts";
import type { Conversation, DocumentRef } from "./types.ts";

/** Long enough to notice a mistake. */
const undoTimeMs = 8_000;

/** What a person can do with the list of conversations. */
export interface ListActions {
  /** `about` is the document that it will be about. */
  readonly newChat: (about?: DocumentRef) => void;
  readonly open: (id: string) => void;
  readonly rename: (id: string, name: string) => void;
  readonly remove: (id: string) => void;
  readonly undoRemove: () => void;
  readonly dismissUndo: () => void;
}

export function createListActions(store: Store, answers: Answers, device: Device): ListActions {
  const find = (id: string) => store.get().conversations.find((conversation) => conversation.id === id);

  function settle(conversation: Conversation): void {
    if (store.get().deleted?.id !== conversation.id) return;
    store.dispatch({ type: "deletion-settled", id: conversation.id });
    for (const session of sessionsOf(conversation)) void removeSession(store, session);
    void device.forget(conversation);
  }

  return {
    newChat(about) {
      store.dispatch({ type: "conversation-opened", id: null, ...(about === undefined ? {} : { about }) });
    },
    open(id) {
      store.dispatch({ type: "conversation-opened", id });
      void catchUp(store);
    },
    rename(id, name) {
      store.dispatch({ type: "conversation-renamed", id, name });
      const conversation = find(id);
      if (conversation !== undefined) void renameAtServer(store, conversation, conversationTitle(conversation) ?? "");
    },
    remove(id) {
      answers.stop(id);
      const conversation = find(id);
      if (conversation === undefined) return;
      // One deletion can be undone at a time.
      const { deleted } = store.get();
      if (deleted !== null) settle(deleted);
      planRemoval(conversation);
      store.dispatch({ type: "conversation-deleted", id });
      setTimeout(() => settle(conversation), undoTimeMs);
    },
    undoRemove() {
      const { deleted } = store.get();
      if (deleted !== null) cancelRemoval(deleted);
      store.dispatch({ type: "conversation-restored" });
    },
    dismissUndo() {
      const { deleted } = store.get();
      if (deleted !== null) settle(deleted);
    },
  };
}
