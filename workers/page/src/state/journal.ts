import type { Conversation } from "./types.ts";

/**
 * Changes that the database had not confirmed when the page went away: a browser gives up transactions of a page that is unloading, but
 * `localStorage` is written at once. One key a conversation, so that two tabs do not overwrite each other's.
 */
const keyPrefix = "spikingbrain.unsaved.";

/** Null stands for a removal. */
export function writeJournal(id: string, conversation: Conversation | null): void {
  try {
    localStorage.setItem(keyPrefix + id, JSON.stringify(conversation));
  } catch {
    // No room: the last half second of a very long conversation is lost.
  }
}

export function clearJournal(id: string): void {
  localStorage.removeItem(keyPrefix + id);
}

export function readJournal(): Map<string, Conversation | null> {
  const changes = new Map<string, Conversation | null>();
  for (const key of Object.keys(localStorage).filter((candidate) => candidate.startsWith(keyPrefix))) {
    try {
      changes.set(key.slice(keyPrefix.length), JSON.parse(localStorage.getItem(key) ?? "null") as Conversation | null);
    } catch {
      // One damaged entry must not hide the rest of the history.
      localStorage.removeItem(key);
    }
  }
  return changes;
}
