/**
 * Whose the conversations at the edge are: the server keeps them for the key that requests bring. A visitor needs none of the server's, so
 * each browser makes up its own, which nobody else can guess.
 */
const visitorStorageKey = "spikingbrain.visitor";
const ownStorageKey = "spikingbrain.key";
const visitorBytes = 16;

/** For a browser that forbids storage: as long as the page is open, it is at least the same visitor. */
let unstored: string | null = null;

/** This browser's own random key. */
export function visitorKey(): string {
  const stored = read(visitorStorageKey) ?? unstored;
  if (stored !== null) return stored;
  const random = Array.from(crypto.getRandomValues(new Uint8Array(visitorBytes)), (byte) => byte.toString(16).padStart(2, "0"));
  unstored = `sk-visitor-${random.join("")}`;
  write(visitorStorageKey, unstored);
  return unstored;
}

/** The key a person has entered; empty where there is none. */
export function enteredKey(): string {
  return read(ownStorageKey) ?? "";
}

/** Empty goes back to the visitor's. */
export function saveEnteredKey(key: string): void {
  write(ownStorageKey, key);
}

/** Whether it can be sent at all: a header takes no spaces and nothing beyond ASCII. */
export function isSendableKey(key: string): boolean {
  return /^[\x21-\x7e]*$/.test(key);
}

export function currentKey(): string {
  return enteredKey() || visitorKey();
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function write(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Forbidden or full: the key lasts as long as the page.
  }
}
