import { allOf, openDatabase, put } from "./database.ts";
import type { Conversation } from "./types.ts";

/** Where the history is kept in this browser. */
export interface ConversationStorage {
  load(): Promise<Conversation[]>;
  /** Resolves once it is stored; null removes. */
  write(id: string, conversation: Conversation | null): Promise<void>;
}

export async function openStorage(): Promise<ConversationStorage> {
  const database = await openDatabase();
  return {
    load: () => allOf<Conversation>(database, "conversations"),
    write: (id, conversation) => put(database, "conversations", id, conversation),
  };
}
