/** What the engine here remembers, over visits: in the browser's own database, which only this web page reads. */
import type { Remembered } from "./conversation.ts";

const databaseName = "spikingbrain-device";
const storeName = "conversations";
/** A state may take 14 MB, and a conversation has two. The one that was used first makes room; it is read again from its text. */
const mostConversations = 24;

export class KeptConversations {
  readonly #database: IDBDatabase;

  constructor(database: IDBDatabase) {
    this.#database = database;
  }

  static async open(): Promise<KeptConversations> {
    const request = indexedDB.open(databaseName, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(storeName, { keyPath: "id" }).createIndex("updated", "updated");
    };
    const database = await settled(request);
    database.onversionchange = () => {
      database.close();
    };
    return new KeptConversations(database);
  }

  async get(id: string): Promise<Remembered | undefined> {
    return await settled(this.#store("readonly").get(id) as IDBRequest<Remembered | undefined>);
  }

  async ids(): Promise<readonly string[]> {
    return (await settled(this.#store("readonly").getAllKeys())).filter((key) => typeof key === "string");
  }

  async put(remembered: Remembered): Promise<void> {
    const store = this.#store("readwrite");
    store.put(remembered);
    const oldestFirst = await settled(store.index("updated").getAllKeys());
    for (const id of oldestFirst.slice(0, -mostConversations)) store.delete(id);
    await ended(store.transaction);
  }

  async remove(id: string): Promise<void> {
    const store = this.#store("readwrite");
    store.delete(id);
    await ended(store.transaction);
  }

  #store(mode: IDBTransactionMode): IDBObjectStore {
    return this.#database.transaction(storeName, mode).objectStore(storeName);
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => {
      resolve(request.result);
    };
    request.onerror = () => {
      reject(request.error ?? new Error("the browser's storage failed without a reason"));
    };
  });
}

function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => {
      resolve();
    };
    transaction.onabort = () => {
      reject(transaction.error ?? new Error("the browser's storage gave a write up without a reason"));
    };
  });
}
