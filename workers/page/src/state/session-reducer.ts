import type { SessionFacts } from "../api/sessions.ts";
import type { SessionAction } from "./action.ts";
import { sessionsOf } from "./branches.ts";
import { isRunning } from "./selectors.ts";
import type { Transcript } from "./transcript.ts";
import type { Conversation, DocumentRef, Message, SessionLink, State } from "./types.ts";
import { newestFirst, updateConversation, without } from "./update.ts";

export function reduceSession(state: State, action: SessionAction): State {
  switch (action.type) {
    case "session-linked":
      return updateConversation(state, action.id, (conversation) => link(conversation, action.session));
    case "device-held":
      return updateConversation(state, action.id, (conversation) => ({
        ...without(conversation, "onDevice"),
        ...(action.held ? { onDevice: true as const } : {}),
      }));
    case "session-moved":
      return updateConversation(state, action.id, (conversation) => moveTo(conversation, action.facts, action.answers));
    case "session-told":
      return updateConversation(state, action.id, (conversation) => learn(conversation, action.facts));
    case "sessions-listed":
      return joinList(state, action.sessions);
    case "transcript-loaded":
      return updateConversation(state, action.id, (conversation) => takeTranscript(conversation, action.transcript, action.facts));
    case "shares-changed":
      return updateConversation(state, action.id, (conversation) => ({ ...conversation, shares: action.shares }));
  }
}

function link(conversation: Conversation, session: SessionLink | null): Conversation {
  if (session === null) return { ...without(without(conversation, "session"), "facts"), messages: conversation.messages.map(turnless) };
  // A session that has just begun holds none of the turns of the one before it.
  const messages = session.turns === 0 ? conversation.messages.map(turnless) : conversation.messages;
  return { ...conversation, session, messages };
}

/** Turns are known by their answers, the last first: what stands before them went into the first turn. */
function moveTo(conversation: Conversation, facts: SessionFacts, answers: readonly { readonly turn: number; readonly text: string }[]) {
  const left = answers.filter(({ text }) => text !== "");
  const messages = conversation.messages
    .map(turnless)
    .toReversed()
    .map((message) => {
      const answer = message.role === "assistant" && message.text !== "" ? left.pop() : undefined;
      if (answer === undefined || message.role === "user") return message;
      if (answer.text === message.text) return { ...message, turn: answer.turn };
      left.length = 0;
      return message;
    });
  const session = { id: facts.id, model: facts.model, system: conversation.settings.system, turns: facts.turns };
  return { ...conversation, messages: messages.toReversed(), session, facts };
}

function turnless(message: Message): Message {
  return message.role === "user" ? message : without(message, "turn");
}

function learn(conversation: Conversation, facts: SessionFacts): Conversation {
  const { session } = conversation;
  if (session?.id !== facts.id) return conversation;
  if (isRunning(conversation) || facts.running !== null) return { ...conversation, facts };
  const messages = conversation.messages.map((message) =>
    message.role === "assistant" && (message.turn ?? 0) > facts.turns ? turnless(message) : message,
  );
  const behind = session.turns !== null && facts.turns > session.turns ? { behind: true as const } : {};
  return { ...conversation, messages, facts, session: { ...without(session, "recalled"), turns: facts.turns }, ...behind };
}

/** The server's sessions that this browser does not know join the list; what was only known from it and is no longer there leaves. */
function joinList(state: State, sessions: readonly SessionFacts[]): State {
  const bySession = new Map(sessions.map((facts) => [facts.id, facts]));
  const known = state.conversations.flatMap((conversation) => {
    const facts = conversation.session === undefined ? undefined : bySession.get(conversation.session.id);
    if (facts === undefined) return conversation.behind === true && conversation.messages.length === 0 ? [] : [conversation];
    bySession.delete(facts.id);
    // Elsewhere: what this browser has renamed itself, the server has been told.
    const before = conversation.facts?.name ?? facts.name;
    const renamed = facts.name !== before ? { name: facts.name || null } : {};
    return [{ ...learn(conversation, facts), ...renamed }];
  });
  // What a branch lives in is part of its conversation.
  for (const id of state.conversations.flatMap(sessionsOf)) bySession.delete(id);
  const added = [...bySession.values()].map((facts) => unread(facts, state));
  return { ...state, conversations: [...known, ...added].sort(newestFirst) };
}

function unread(facts: SessionFacts, { preferences, documents }: State): Conversation {
  const document = documents.find((candidate) => candidate.facts.id === facts.parent)?.facts;
  return {
    id: facts.id,
    name: facts.name || null,
    updatedAt: facts.updated * 1000,
    settings: preferences.settings,
    messages: [],
    session: { id: facts.id, model: facts.model, system: preferences.settings.system, turns: facts.turns },
    facts,
    behind: true,
    ...(document === undefined ? {} : { document: { id: document.id, name: document.name } }),
  };
}

function takeTranscript(conversation: Conversation, { messages, system, document }: Transcript, facts: SessionFacts): Conversation {
  // What has not reached the server stays to be sent.
  const lastKept = conversation.messages.findLastIndex((message) => message.role === "assistant" && message.turn !== undefined);
  return {
    ...without(conversation, "behind"),
    messages: [...messages.map((message, at) => sameAs(conversation.messages[at], message)), ...conversation.messages.slice(lastKept + 1)],
    settings: { ...conversation.settings, system },
    session: { id: facts.id, model: facts.model, system, turns: facts.turns },
    facts,
    ...(document === null || conversation.document !== undefined ? {} : { document: documentRef(facts, document) }),
  };
}

/** A message that this browser has already stays the one it was, so that its versions are still its versions. */
function sameAs(known: Message | undefined, told: Message): Message {
  if (known?.role !== told.role || known.text !== told.text) return told;
  return known.role === "assistant" && told.role === "assistant" && told.turn !== undefined ? { ...known, turn: told.turn } : known;
}

/** What is said of a document that only the transcript tells of. */
export function documentRef(facts: SessionFacts, beginning: string): DocumentRef {
  return { id: facts.parent ?? "", name: beginning };
}
