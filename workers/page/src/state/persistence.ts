import { clearJournal, readJournal, writeJournal } from "./journal.ts";
import { loadCurrentId, saveCurrentId, savePreferences } from "./preferences.ts";
import { openStorage, type ConversationStorage } from "./storage.ts";
import type { Store } from "./store.ts";
import type { Conversation, Message } from "./types.ts";
import { interrupted } from "./update.ts";

/** Long enough that a stream does not write on every token. */
const saveDelayMs = 400;

/** Reads the history into the store and from then on writes every change back. Without storage the page works and remembers nothing. */
export async function persist(store: Store): Promise<void> {
  let preferences = store.get().preferences;
  let currentId = store.get().currentId;
  store.subscribe(() => {
    const state = store.get();
    if (state.preferences !== preferences) savePreferences((preferences = state.preferences));
    if (state.currentId !== currentId) saveCurrentId((currentId = state.currentId));
  });

  const storage = await openStorage();
  const conversations = await loadAll(storage);
  const stored = loadCurrentId();
  const writer = createWriter(storage, conversations);
  store.subscribe(() => writer.changed(store.get().conversations));
  store.dispatch({
    type: "conversations-loaded",
    conversations,
    currentId: conversations.some((conversation) => conversation.id === stored) ? stored : null,
  });
  addEventListener("pagehide", writer.leave);
}

/** What the database holds, with what a page that went away could not write any more. */
async function loadAll(storage: ConversationStorage): Promise<Conversation[]> {
  const conversations = new Map((await storage.load()).map((conversation) => [conversation.id, conversation]));
  for (const [id, conversation] of readJournal()) {
    await storage.write(id, conversation);
    clearJournal(id);
    if (conversation === null) conversations.delete(id);
    else conversations.set(id, conversation);
  }
  return [...conversations.values()].map((conversation) => ({
    ...conversation,
    messages: conversation.messages.map(unlessResumable),
    ...(conversation.session === undefined ? {} : { session: { ...conversation.session, recalled: true as const } }),
  }));
}

/** An answer whose stream is known goes on where it was. */
function unlessResumable(message: Message): Message {
  return message.role === "assistant" && message.stream !== undefined ? message : interrupted(message);
}

/** Conversations that only the server's list told of are not this browser's to remember. */
function remembered(conversations: readonly Conversation[]): readonly Conversation[] {
  return conversations.filter(({ behind, messages }) => behind !== true || messages.length > 0);
}

interface Writer {
  readonly changed: (conversations: readonly Conversation[]) => void;
  /** The page goes away: what is not stored yet is put where the next visit finds it. */
  readonly leave: () => void;
}

function createWriter(storage: ConversationStorage, stored: readonly Conversation[]): Writer {
  let latest = stored;
  /** What the database has confirmed. */
  const confirmed = new Map(stored.map((conversation) => [conversation.id, conversation]));
  let timer: ReturnType<typeof setTimeout> | undefined;

  function unconfirmed(): Map<string, Conversation | null> {
    const changes = new Map<string, Conversation | null>();
    for (const conversation of remembered(latest))
      if (confirmed.get(conversation.id) !== conversation) changes.set(conversation.id, conversation);
    for (const id of confirmed.keys()) if (!latest.some((conversation) => conversation.id === id)) changes.set(id, null);
    return changes;
  }

  async function write(id: string, conversation: Conversation | null): Promise<void> {
    await storage.write(id, conversation);
    if (conversation === null) confirmed.delete(id);
    else confirmed.set(id, conversation);
    clearJournal(id);
  }

  async function flush(): Promise<void> {
    timer = undefined;
    try {
      for (const [id, conversation] of unconfirmed()) await write(id, conversation);
    } catch (error) {
      console.warn("the conversation could not be stored", error);
    }
  }

  return {
    changed(conversations) {
      if (conversations === latest) return;
      latest = conversations;
      timer ??= setTimeout(() => void flush(), saveDelayMs);
    },
    leave() {
      for (const [id, conversation] of unconfirmed()) writeJournal(id, conversation);
    },
  };
}
