/** What the next answer takes, as a value: `turn.ts` runs it, and the code panel shows it. */
import { chatMessages, chatRequest, type ChatRequest } from "../api/chat-request.ts";
import type { ServedModel } from "../api/model.ts";
import { creation, forking, rewinding, type SessionCall } from "../api/sessions.ts";
import { isKept } from "./branches.ts";
import { conversationTitle } from "./selectors.ts";
import { settingsFor } from "./settings.ts";
import type { Conversation, Message, SessionLink } from "./types.ts";

export interface TurnPlan {
  /** Brings a session to where the answer goes on, and its result names that session; null where none is needed. */
  readonly prepare: SessionCall | null;
  /** The session that the request goes to as it stands; null where `prepare` makes it, or there is none. */
  readonly session: SessionLink | null;
  /** The turn of the session that the answer follows; 0 is the beginning. */
  readonly base: number;
  /** The chat request, for the session of that id; null sends the whole conversation to none. */
  readonly request: (session: string | null) => ChatRequest;
}

/** `messages` end with what is to be answered. Without `keepsSessions` none is begun. */
export function planTurn(model: ServedModel, conversation: Conversation, messages: readonly Message[], keepsSessions: boolean): TurnPlan {
  const { document, settings } = conversation;
  const about = document !== undefined;
  const session = conversation.session?.model === model.id ? conversation.session : null;
  const base = session === null ? 0 : baseOf(session, messages, settings.system, about);
  const begins = session === null && (keepsSessions || about);
  const prepare = begins ? beginning(model, conversation) : session === null ? null : alignment(model, conversation, session, base);
  return { prepare, session: session !== null && prepare === null ? session : null, base, request };

  function request(id: string | null): ChatRequest {
    const options = { reportState: model.state !== null, reportPlacement: model.tellsPlacement, ...(id === null ? {} : { session: id }) };
    const sent = settingsFor(model, settings);
    if (id === null) return chatRequest(model.id, chatMessages(settings.system, messages), sent, options);
    const after = messagesAfter(messages, base);
    // A document takes the system prompt's place, and what follows it is only what was asked.
    const system = base === 0 && !about ? settings.system : "";
    const unsent = about ? after.filter(({ role }) => role === "user") : after;
    return chatRequest(model.id, chatMessages(system, unsent), sent, options);
  }
}

function beginning(model: ServedModel, conversation: Conversation): SessionCall {
  const { document } = conversation;
  return creation(model.id, conversationTitle(conversation), document === undefined ? null : { context: document.id });
}

/** What has the session end with turn `base`. One that a branch lives in is left as it is. */
function alignment(model: ServedModel, conversation: Conversation, session: SessionLink, base: number): SessionCall | null {
  if (isKept(conversation, session.id))
    return base === 0 && conversation.document === undefined ? beginning(model, conversation) : forking(session.id, base);
  // Going back to where it ends changes nothing, and is refused where it ends before that.
  return session.turns === base && session.recalled === undefined ? null : rewinding(session.id, base);
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
