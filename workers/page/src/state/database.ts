/** The browser's database: conversations, and texts on their way to the server. Every record has its key as `id`. */
const databaseName = "spikingbrain";
/** 2 added `uploads`. */
const databaseVersion = 2;
const stores = ["conversations", "uploads"] as const;

type StoreName = (typeof stores)[number];

export function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open(databaseName, databaseVersion);
  request.onupgradeneeded = () => {
    const { result } = request;
    for (const store of stores) if (!result.objectStoreNames.contains(store)) result.createObjectStore(store, { keyPath: "id" });
  };
  return settled(request).then((database) => {
    // A newer page in another tab must not wait for this one.
    database.onversionchange = () => database.close();
    return database;
  });
}

/** The store's name says what its records are. */
export function allOf<T>(database: IDBDatabase, name: StoreName): Promise<T[]> {
  return settled(database.transaction(name).objectStore(name).getAll() as IDBRequest<T[]>);
}

/** Resolves once it is stored; null removes. */
export function put(database: IDBDatabase, name: StoreName, id: string, value: object | null): Promise<void> {
  const transaction = database.transaction(name, "readwrite");
  const store = transaction.objectStore(name);
  if (value === null) store.delete(id);
  else store.put(value);
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("the browser's storage gave a write up without a reason"));
  });
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's storage failed without a reason"));
  });
}
