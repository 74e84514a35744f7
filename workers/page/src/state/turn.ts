/** What one message sends: the whole conversation, or, in a session, only what the server has not seen. */
import type { ChatRequest } from "../api/chat-request.ts";
import { FailureError, failureOf } from "../api/failure.ts";
import { callSession, deleteSession, forking } from "../api/sessions.ts";
import { isKept } from "./branches.ts";
import { loadModel } from "./load-model.ts";
import { conversationOf, modelFor } from "./selectors.ts";
import type { Store } from "./store.ts";
import { planTurn, type TurnPlan } from "./turn-plan.ts";
import type { Conversation } from "./types.ts";

export interface PreparedTurn {
  readonly request: ChatRequest;
  /** The turn that the answer will end; null outside a session. */
  readonly turn: number | null;
}

/** Brings the session, where there is or can be one, to where `answerId` answers, and makes the request for it. */
export async function prepareTurn(store: Store, id: string, answerId: string, signal: AbortSignal): Promise<PreparedTurn> {
  if (store.get().models.length === 0) await loadModel(store, signal);
  const conversation = conversationOf(store, id);
  const model = modelFor(store.get(), conversation, null);
  if (model === null) throw new FailureError({ kind: "protocol" });
  const earlier = conversation.messages.filter((message) => message.id !== answerId);
  const plan = planTurn(model, conversation, earlier, true);
  const session = plan.session?.id ?? (await sessionOf(store, conversation, plan, signal));
  if (session === gone) {
    store.dispatch({ type: "session-linked", id, session: null });
    return prepareTurn(store, id, answerId, signal);
  }
  if (session === null) return { request: plan.request(null), turn: null };
  const { system } = conversationOf(store, id).settings;
  const link = { id: session, model: model.id, system, turns: plan.base };
  store.dispatch({ type: "session-linked", id, session: link });
  // From here on until the answer's end only the server knows how many turns it has, even if this page goes away.
  store.dispatch({ type: "session-linked", id, session: { ...link, turns: null } });
  return { request: plan.request(session), turn: plan.base + 1 };
}

/** The session is not there any more, and another is needed. */
const gone = Symbol("gone");
const cleanupMs = 30_000;

/** The id of the session to go on with; null where the server keeps none, which costs time and nothing else. */
async function sessionOf(store: Store, conversation: Conversation, plan: TurnPlan, signal: AbortSignal) {
  const { prepare, base } = plan;
  if (prepare === null) return null;
  try {
    const { id } = await callSession(prepare, signal);
    store.dispatch({ type: "sessions-kept", kept: true });
    return id;
  } catch (error) {
    const { kind, status } = failureOf(error) ?? {};
    const { session, document } = conversation;
    if (prepare.on === null) {
      // Without its document the conversation would be about nothing; without a key or a connection nothing else will work either.
      if (document !== undefined || kind === undefined || kind === "key" || kind === "network" || kind === "offline") throw error;
      if (status === 404) store.dispatch({ type: "sessions-kept", kept: false });
      return null;
    }
    if (kind === "conflict" && session !== undefined) {
      // A turn still runs there whose answer nobody wants any more.
      const fork = await callSession(forking(session.id, base), signal);
      if (!isKept(conversation, session.id)) deleteSession(session.id, AbortSignal.timeout(cleanupMs)).catch(() => undefined);
      return fork.id;
    }
    if (kind !== "gone" && kind !== "server") throw error;
    return gone;
  }
}
