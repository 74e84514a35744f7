import type { ServedModel } from "../api/model.ts";
import type { Settings } from "../api/chat-request.ts";
import type { StateMeasure } from "../api/measures.ts";
import type { AssistantMessage, Conversation, DocumentRef, Measure, State } from "./types.ts";

export function currentConversation(state: State): Conversation | null {
  return state.conversations.find((conversation) => conversation.id === state.currentId) ?? null;
}

/**
 * The model that answers in a conversation, or in one that is not begun: a session keeps its own, and so does what is asked about a document; else
 * the one that was chosen, as long as it can answer; else the first that can.
 */
export function modelFor(
  state: Pick<State, "models" | "documents" | "preferences">,
  conversation: Conversation | null,
  about: DocumentRef | null,
): ServedModel | null {
  const { models, documents, preferences } = state;
  const document = conversation?.document ?? about;
  const bound = conversation?.session?.model ?? documents.find(({ facts }) => facts.id === document?.id)?.facts.model;
  const known = (id: string | null | undefined) => models.find((model) => model.id === id);
  const able = ({ status, download }: ServedModel) => status !== "unavailable" || (preferences.onDevice && download !== null);
  const chosen = known(preferences.model);
  return known(bound) ?? (chosen !== undefined && able(chosen) ? chosen : undefined) ?? models.find(able) ?? models[0] ?? null;
}

/** Whether the next answer is computed by this browser's own engine: it has the model, or loads it. */
export function answersHere({ preferences, model }: Pick<State, "preferences" | "model">): boolean {
  return preferences.onDevice && model !== null && model.download !== null;
}

/** Whether a message can be sent now. */
export function canSend(state: Pick<State, "online" | "preferences" | "model">): boolean {
  return state.online || answersHere(state);
}

/** @throws the abort of whatever works on a conversation that was deleted meanwhile. */
export function conversationOf(store: { readonly get: () => State }, id: string): Conversation {
  const conversation = store.get().conversations.find((candidate) => candidate.id === id);
  if (conversation === undefined) throw new DOMException("the conversation was deleted", "AbortError");
  return conversation;
}

export function currentSettings(state: State): Settings {
  return currentConversation(state)?.settings ?? state.preferences.settings;
}

export function isRunning(conversation: Conversation | null): boolean {
  const last = conversation?.messages.at(-1);
  return last?.role === "assistant" && (last.status === "waiting" || last.status === "streaming");
}

const titleLength = 60;

/** The name a person gave, or the beginning of the first message. */
export function conversationTitle(conversation: Conversation): string | null {
  if (conversation.name !== null) return conversation.name;
  const first = conversation.messages.find((message) => message.role === "user");
  const words = first?.text.replace(/\s+/g, " ").trim() ?? "";
  if (words === "") return null;
  // Cut between what a reader sees as characters, so that no emoji is split.
  const characters = Array.from(new Intl.Segmenter().segment(words), ({ segment }) => segment);
  return characters.length <= titleLength ? words : `${characters.slice(0, titleLength).join("")}…`;
}

/** Tokens of the answer: exact once the server has told, the number of text events until then. */
export function answerTokens(measure: Measure): number {
  return measure.completionTokens ?? measure.deltas;
}

/** Decode speed. The first token's time belongs to the prompt, so it counts neither as a token nor as time. */
export function tokensPerSecond(measure: Measure): number | null {
  const tokens = answerTokens(measure) - 1;
  return tokens > 0 && measure.streamingMs > 0 ? (tokens * 1000) / measure.streamingMs : null;
}

/** Tokens of the whole conversation up to and with this answer; null before the server has told the prompt's. */
export function contextTokens(answer: AssistantMessage): number | null {
  const { promptTokens } = answer.measure;
  return promptTokens === undefined ? null : promptTokens + answerTokens(answer.measure);
}

/** The newest word of the server on this conversation's state; null before the first. */
export function latestState(conversation: Conversation | null): StateMeasure | null {
  const answers = conversation?.messages.filter((message) => message.role === "assistant") ?? [];
  return answers.findLast(({ measure }) => measure.state !== undefined)?.measure.state ?? null;
}
