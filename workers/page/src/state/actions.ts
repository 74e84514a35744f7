import { saveEnteredKey } from "../api/key.ts";
import { createAnswers } from "./answer.ts";
import { soon } from "./attempt.ts";
import { createChatActions, type ChatActions } from "./chat-actions.ts";
import { createDevice, type Device } from "./device.ts";
import { createDocuments, type Documents } from "./documents.ts";
import { createListActions, type ListActions } from "./list-actions.ts";
import { loadModel, refreshModels } from "./load-model.ts";
import { currentConversation, isRunning } from "./selectors.ts";
import { refreshSessions } from "./sessions.ts";
import { createSharing, type Sharing } from "./sharing.ts";
import type { Store } from "./store.ts";
import type { Settings } from "../api/chat-request.ts";
import type { Preferences } from "./types.ts";

/** What a person can do. Each is safe to call at any time: what makes no sense right now does nothing. */
export interface Actions extends ChatActions, ListActions {
  readonly documents: Documents;
  readonly sharing: Sharing;
  readonly device: Pick<Device, "turnOn" | "turnOff" | "keepsModel" | "dropModel">;
  readonly changeSettings: (settings: Settings) => void;
  readonly changePreferences: (preferences: Partial<Preferences>) => void;
  /** The key that requests bring from now on; empty for the browser's own. */
  readonly changeKey: (key: string) => void;
  /** Which model answers in new conversations; where the open one has begun, a new one is begun. */
  readonly chooseModel: (id: string) => void;
  /** Asks again which models can answer. */
  readonly refreshModels: () => void;
  readonly dismissNotice: () => void;
  /** Takes up what was under way when the page was last closed. */
  readonly resumeAnswers: () => void;
  /** Reads what the server keeps for this key. */
  readonly refresh: () => Promise<void>;
}

export function createActions(store: Store): Actions {
  const device = createDevice(store);
  const answers = createAnswers(store, device);
  const documents = createDocuments(store);

  async function refresh(): Promise<void> {
    await documents.refresh();
    await refreshSessions(store);
  }

  return {
    ...createChatActions(store, answers),
    ...createListActions(store, answers, device),
    documents,
    sharing: createSharing(store, device),
    changeSettings: (settings) => store.dispatch({ type: "settings-changed", settings, now: Date.now() }),
    changePreferences: (preferences) => store.dispatch({ type: "preferences-changed", preferences }),
    changeKey(key) {
      saveEnteredKey(key);
      loadModel(store, soon()).then(refresh, () => undefined);
    },
    chooseModel(id) {
      store.dispatch({ type: "preferences-changed", preferences: { model: id } });
      const conversation = currentConversation(store.get());
      if (conversation !== null && store.get().model?.id !== id) store.dispatch({ type: "conversation-opened", id: null });
    },
    device,
    refreshModels: () => void refreshModels(store, soon()),
    dismissNotice: () => store.dispatch({ type: "notice-changed", notice: null }),
    resumeAnswers() {
      for (const conversation of store.get().conversations) {
        const last = conversation.messages.at(-1);
        if (isRunning(conversation) && last?.role === "assistant") answers.resume(conversation.id, last);
      }
    },
    refresh,
  };
}
