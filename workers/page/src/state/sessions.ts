/** What the page does with the server's sessions beside asking them something. */
import { callSession, deleteSession, fetchSession, forking, listSessions, renameSession, type SessionFacts } from "../api/sessions.ts";
import { fetchTurns, type Turn } from "../api/turns.ts";
import { attempt, noticed, soon } from "./attempt.ts";
import { sessionsOf } from "./branches.ts";
import { addPendingDeletion, pendingDeletions, removePendingDeletion } from "./pending-deletions.ts";
import { documentRef } from "./session-reducer.ts";
import type { Store } from "./store.ts";
import { transcriptOf } from "./transcript.ts";
import type { Conversation } from "./types.ts";

/** Joins the server's list with this browser's. A server that keeps no sessions, or cannot be reached, leaves the browser's as it is. */
export async function refreshSessions(store: Store): Promise<void> {
  for (const id of pendingDeletions()) await removeSession(store, id);
  let sessions: readonly SessionFacts[] = [];
  const failure = await attempt(async () => (sessions = await listSessions(soon())));
  if (failure === null || failure.status === 404) store.dispatch({ type: "sessions-kept", kept: failure === null });
  if (failure !== null) return;
  const deleted = new Set(pendingDeletions());
  store.dispatch({ type: "sessions-listed", sessions: sessions.filter(({ id }) => !deleted.has(id)) });
  await catchUp(store);
}

/** Fetches the open conversation's turns where the server has more of them than this browser. */
export async function catchUp(store: Store): Promise<void> {
  const { conversations, currentId } = store.get();
  const conversation = conversations.find(({ id }) => id === currentId);
  if (conversation?.behind !== true || conversation.session === undefined) return;
  const { id, session } = conversation;
  await noticed(store, "transcript", async () => {
    const [facts, turns] = await Promise.all([fetchSession(session.id, soon()), fetchTurns(session.id, soon())]);
    store.dispatch({ type: "transcript-loaded", id, transcript: transcriptOf(session.id, facts.model, turns), facts });
  });
}

export async function renameAtServer(store: Store, conversation: Conversation, name: string): Promise<void> {
  const { session } = conversation;
  if (session !== undefined) await noticed(store, "rename", () => renameSession(session.id, name, soon()));
}

/** The server is told once it cannot be undone any more; a page that is closed before tells it on its next visit. */
export function planRemoval(conversation: Conversation): void {
  for (const session of sessionsOf(conversation)) addPendingDeletion(session);
}

export function cancelRemoval(conversation: Conversation): void {
  for (const session of sessionsOf(conversation)) removePendingDeletion(session);
}

export async function removeSession(store: Store, session: string): Promise<void> {
  await noticed(store, "delete", async () => {
    await deleteSession(session, soon());
    removePendingDeletion(session);
  });
}

/** Has the server forget the sessions of branches that have had to make room. */
export function releaseSessions(store: Store, before: Conversation): void {
  const now = store.get().conversations.find(({ id }) => id === before.id);
  if (now === undefined) return;
  const held = new Set(sessionsOf(now));
  for (const session of sessionsOf(before)) {
    if (held.has(session)) continue;
    addPendingDeletion(session);
    void removeSession(store, session);
  }
}

/** A conversation of its own that begins with this one up to and with an answer. */
export async function forkConversation(store: Store, conversation: Conversation, messageId: string): Promise<void> {
  const at = conversation.messages.findIndex(({ id }) => id === messageId);
  const answer = conversation.messages[at];
  if (answer?.role !== "assistant") return;
  const { session, document } = conversation;
  const { turn } = answer;
  // Without a session the copy is sent whole with its next message, as any conversation without one.
  const facts = session === undefined || turn === undefined ? null : await forkedFacts(store, session.id, turn);
  const linked = session === undefined || facts === null ? {} : { session: { ...session, id: facts.id, turns: facts.turns }, facts };
  const copy: Conversation = {
    id: crypto.randomUUID(),
    name: conversation.name,
    updatedAt: Date.now(),
    settings: conversation.settings,
    messages: conversation.messages.slice(0, at + 1),
    forked: true,
    ...(document === undefined ? {} : { document }),
  };
  store.dispatch({ type: "conversation-created", conversation: { ...copy, ...linked } });
}

async function forkedFacts(store: Store, session: string, turn: number): Promise<SessionFacts | null> {
  let facts: SessionFacts | null = null;
  const failure = await attempt(async () => (facts = await callSession(forking(session, turn), soon())));
  // What is gone is forked from its text alone, and nothing is lost by it.
  if (failure !== null && failure.kind !== "gone") store.dispatch({ type: "notice-changed", notice: { what: "fork", failure } });
  return facts;
}

/** Opens a session that this browser has just been given. */
export function openSession(store: Store, facts: SessionFacts, turns: readonly Turn[]): void {
  const { messages, system, document } = transcriptOf(facts.id, facts.model, turns);
  const settings = { ...store.get().preferences.settings, system };
  const session = { id: facts.id, model: facts.model, system, turns: facts.turns };
  const conversation = { id: facts.id, name: facts.name || null, updatedAt: Date.now(), settings, messages, session, facts };
  const about = document === null ? {} : { document: documentRef(facts, document) };
  store.dispatch({ type: "conversation-created", conversation: { ...conversation, ...about } });
}
