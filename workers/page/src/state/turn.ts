/** What one message sends: the whole conversation, or, in a session, only what the server has not seen. */
import { chatMessages, chatRequest, type ChatRequest } from "../api/chat-request.ts";
import { failureOf } from "../api/failure.ts";
import { createSession, deleteSession, forkSession, rewindSession } from "../api/sessions.ts";
import { loadModel } from "./load-model.ts";
import { conversationTitle } from "./selectors.ts";
import type { Store } from "./store.ts";
import type { Conversation, Message, SessionLink } from "./types.ts";

export interface PreparedTurn {
  readonly request: ChatRequest;
  /** The turn that the answer will end; null outside a session. */
  readonly turn: number | null;
}

/** Brings the session, where there is or can be one, to where `answerId` answers, and makes the request for it. */
export async function prepareTurn(store: Store, id: string, answerId: string, signal: AbortSignal): Promise<PreparedTurn> {
  const model = store.get().model ?? (await loadModel(store, signal));
  const session = await sessionFor(store, id, model.id, signal);
  const conversation = conversationOf(store, id);
  const { settings } = conversation;
  const earlier = conversation.messages.filter((message) => message.id !== answerId);
  const reportState = model.state !== null;
  if (session === null)
    return { request: chatRequest(model.id, chatMessages(settings.system, earlier), settings, { reportState }), turn: null };

  const about = conversation.document !== undefined;
  const base = baseOf(session, earlier, settings.system, about);
  const aligned = await align(store, conversation, session, base, signal);
  if (aligned === null) return prepareTurn(store, id, answerId, signal);
  const after = messagesAfter(earlier, base);
  // A document takes the system prompt's place, and what follows it is only what was asked.
  const system = base === 0 && !about ? settings.system : "";
  const unsent = about ? after.filter(({ role }) => role === "user") : after;
  const request = chatRequest(model.id, chatMessages(system, unsent), settings, { reportState, session: aligned });
  // From here on until the answer's end only the server knows how many turns it has, even if this page goes away.
  const { session: current } = conversationOf(store, id);
  if (current !== undefined) store.dispatch({ type: "session-linked", id, session: { ...current, turns: null } });
  return { request, turn: base + 1 };
}

/** The conversation's session, or a new one; null where the server keeps none, which costs time and nothing else. */
async function sessionFor(store: Store, id: string, model: string, signal: AbortSignal): Promise<SessionLink | null> {
  const conversation = conversationOf(store, id);
  if (conversation.session?.model === model) return conversation.session;
  const { document, settings } = conversation;
  const origin = document === undefined ? null : { context: document.id };
  try {
    const facts = await createSession(model, conversationTitle(conversation), origin, signal);
    const session = { id: facts.id, model, system: settings.system, turns: 0 };
    store.dispatch({ type: "session-linked", id, session });
    return session;
  } catch (error) {
    const kind = failureOf(error)?.kind;
    // Without its document the conversation would be about nothing; without a key or a connection nothing else will work either.
    if (document !== undefined || kind === undefined || kind === "key" || kind === "network" || kind === "offline") throw error;
    return null;
  }
}

/** Has the session end with turn `base`; gives the id of the session to go on with, or null where it is gone and another is needed. */
async function align(store: Store, conversation: Conversation, session: SessionLink, base: number, signal: AbortSignal) {
  if (session.turns === base && session.system === conversation.settings.system) return session.id;
  const { id } = conversation;
  const { system } = conversation.settings;
  try {
    if (session.turns !== base) await rewindSession(session.id, base, signal);
    store.dispatch({ type: "session-linked", id, session: { ...session, system, turns: base } });
    return session.id;
  } catch (error) {
    const kind = failureOf(error)?.kind;
    if (kind === "conflict") {
      // A turn still runs there whose answer nobody wants any more.
      const fork = await forkSession(session.id, base, signal);
      store.dispatch({ type: "session-linked", id, session: { ...session, id: fork.id, system, turns: base } });
      deleteSession(session.id, AbortSignal.timeout(CLEANUP_MS)).catch(() => undefined);
      return fork.id;
    }
    if (kind !== "gone" && kind !== "server") throw error;
    store.dispatch({ type: "session-linked", id, session: null });
    return null;
  }
}

const CLEANUP_MS = 30_000;

function conversationOf(store: Store, id: string): Conversation {
  const conversation = store.get().conversations.find((candidate) => candidate.id === id);
  if (conversation === undefined) throw new DOMException("the conversation was deleted", "AbortError");
  return conversation;
}

/** The turn to go on from: the last that is still there, unless what came before it, or after it, is not what the session has. */
function baseOf(session: SessionLink, messages: readonly Message[], system: string, about: boolean): number {
  const last = messages.reduce((latest, message) => turnOf(message) ?? latest, 0);
  // A session takes no answers but its own: what was said of one that it has not kept goes into a new beginning.
  const foreign = messagesAfter(messages, last).some(({ role, text }) => role === "assistant" && text !== "");
  return about || (session.system === system && !foreign) ? last : 0;
}

function messagesAfter(messages: readonly Message[], turn: number): readonly Message[] {
  return turn === 0 ? messages : messages.slice(messages.findLastIndex((message) => turnOf(message) === turn) + 1);
}

function turnOf(message: Message): number | undefined {
  return message.role === "assistant" ? message.turn : undefined;
}
