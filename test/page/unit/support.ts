/** Messages, conversations and states of the web page, as small as they can be. */
import { defaultSettings } from "../../../workers/page/src/state/settings.ts";
import type { AssistantMessage, Conversation, Message, State } from "../../../workers/page/src/state/types.ts";

export const noMeasure = { deltas: 0, streamingMs: 0 };

export function user(id: string, text = id): Message {
  return { id, role: "user", text };
}

export function answer(id: string, more: Partial<AssistantMessage> = {}): AssistantMessage {
  return { id, role: "assistant", text: id, status: "done", model: "m", measure: noMeasure, ...more };
}

export function conversation(id: string, messages: readonly Message[], updatedAt = 1): Conversation {
  return { id, name: null, updatedAt, settings: defaultSettings, messages };
}

/** The first conversation is the one that is shown. */
export function state(...conversations: Conversation[]): State {
  return {
    preferences: { theme: "system", language: "en", settings: defaultSettings, model: null, onDevice: false },
    conversations,
    currentId: conversations[0]?.id ?? null,
    models: [],
    model: null,
    modelFailure: null,
    online: true,
    device: { status: "off" },
    keepsSessions: true,
    deleted: null,
    documents: [],
    about: null,
    shared: null,
    notice: null,
  };
}
