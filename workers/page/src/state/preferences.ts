import { languages, preferredLanguage } from "../language/choice.ts";
import { defaultSettings } from "./settings.ts";
import type { Preferences } from "./types.ts";

/** `theme.ts`, which runs before anything is painted, reads the same key. */
const preferencesKey = "spikingbrain.preferences";
const currentKey = "spikingbrain.conversation";

export function loadPreferences(): Preferences {
  const stored = readJson(preferencesKey) as Partial<Preferences> | null;
  const language = languages.find((known) => known === stored?.language) ?? preferredLanguage(navigator.languages);
  const theme = stored?.theme === "light" || stored?.theme === "dark" ? stored.theme : "system";
  const model = typeof stored?.model === "string" ? stored.model : null;
  return { theme, language, settings: { ...defaultSettings, ...stored?.settings }, model, onDevice: stored?.onDevice === true };
}

export function savePreferences(preferences: Preferences): void {
  write(localStorage, preferencesKey, JSON.stringify(preferences));
}

/** Each tab keeps its own open conversation, so this is session storage. */
export function loadCurrentId(): string | null {
  return sessionStorage.getItem(currentKey);
}

export function saveCurrentId(id: string | null): void {
  if (id === null) sessionStorage.removeItem(currentKey);
  else write(sessionStorage, currentKey, id);
}

function readJson(key: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    // Something else wrote there; the defaults are right.
    return null;
  }
}

function write(storage: Storage, key: string, value: string): void {
  try {
    storage.setItem(key, value);
  } catch {
    // A full or forbidden storage costs the memory of a preference, nothing more.
  }
}
