import type { Conversation } from "./types.ts";

/** Where the history is kept. Nothing leaves the browser. */
export interface ConversationStorage {
  load(): Promise<Conversation[]>;
  /** Resolves once it is stored; null removes. */
  write(id: string, conversation: Conversation | null): Promise<void>;
}

const DATABASE = "spikingbrain";
const DATABASE_VERSION = 1;
const CONVERSATIONS = "conversations";

export async function openStorage(): Promise<ConversationStorage> {
  const database = await open();
  return {
    async load() {
      const all = database.transaction(CONVERSATIONS).objectStore(CONVERSATIONS).getAll() as IDBRequest<Conversation[]>;
      return settled(all);
    },
    write(id, conversation) {
      const transaction = database.transaction(CONVERSATIONS, "readwrite");
      const store = transaction.objectStore(CONVERSATIONS);
      if (conversation === null) store.delete(id);
      else store.put(conversation);
      return new Promise((resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(transaction.error ?? new Error("the browser's storage gave a write up without a reason"));
      });
    },
  };
}

function open(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, DATABASE_VERSION);
  request.onupgradeneeded = () => request.result.createObjectStore(CONVERSATIONS, { keyPath: "id" });
  return settled(request);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's storage failed without a reason"));
  });
}
