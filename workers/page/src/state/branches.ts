/** The courses that a conversation has taken and left: whatever edit and regenerate replace stays, and can be gone back to. */
import type { Branch, Conversation, Message } from "./types.ts";
import { interrupted, without } from "./update.ts";

/** Bounds of what one conversation keeps beside its present course. The course that was left first makes room, never the latest. */
const mostBranches = 16;
const mostBranchCharacters = 400_000;

/** The conversation without message `at` and what follows it, which becomes a branch if there is anything in it. */
export function leaveCourse(conversation: Conversation, at: number): Conversation {
  const { messages } = conversation;
  const kept = { ...conversation, messages: messages.slice(0, at) };
  return messages.slice(at).some(hasContent)
    ? bounded({ ...kept, branches: [...branchesOf(conversation), presentCourse(conversation)] })
    : kept;
}

/** A message for place `at`, counted among those that have stood there. */
export function asVersion<M extends Message>(conversation: Conversation, at: number, message: M): M {
  const others = versionsAt(conversation, at);
  return others.length === 0 ? message : { ...message, version: Math.max(...others.map(({ version = 0 }) => version)) + 1 };
}

/** All that have stood at this place after the same beginning, in the order they were made. */
export function versionsAt(conversation: Conversation, at: number): readonly Message[] {
  const found = new Map<string, Message>();
  for (const { messages } of [conversation, ...branchesOf(conversation)]) {
    const message = messages[at];
    if (message !== undefined && !found.has(message.id) && beginsAlike(messages, conversation.messages, at)) found.set(message.id, message);
  }
  return [...found.values()].sort((left, right) => (left.version ?? 0) - (right.version ?? 0));
}

/** Goes back to the course with this message that was left last, and leaves the present one; the same where there is none. */
export function chooseVersion(conversation: Conversation, messageId: string): Conversation {
  const branches = branchesOf(conversation);
  const chosen = branches.findLast(({ messages }) => {
    const at = messages.findIndex(({ id }) => id === messageId);
    return at >= 0 && beginsAlike(messages, conversation.messages, at);
  });
  if (chosen === undefined) return conversation;
  const { session, facts, messages } = chosen;
  return {
    ...without(without(conversation, "session"), "facts"),
    messages,
    branches: [...branches.filter((branch) => branch !== chosen), presentCourse(conversation)],
    ...(session === undefined ? {} : { session }),
    ...(facts === undefined ? {} : { facts }),
  };
}

/** Sessions of the server that hold this conversation, in whatever course. */
export function sessionsOf(conversation: Conversation): readonly string[] {
  const links = [conversation, ...branchesOf(conversation)].map(({ session }) => session?.id);
  return [...new Set(links.filter((id) => id !== undefined))];
}

/** Whether a branch lives in this session, so that going back in it would destroy the branch. */
export function isKept(conversation: Conversation, session: string): boolean {
  return branchesOf(conversation).some((branch) => branch.session?.id === session);
}

function branchesOf({ branches = [] }: Conversation): readonly Branch[] {
  return branches;
}

function presentCourse({ messages, session, facts }: Conversation): Branch {
  return {
    messages: messages.map(interrupted),
    ...(session === undefined ? {} : { session }),
    ...(facts === undefined ? {} : { facts }),
  };
}

function bounded(conversation: Conversation): Conversation {
  const seen = new Set(conversation.messages.map(({ id }) => id));
  let characters = 0;
  const kept = branchesOf(conversation)
    .slice(-mostBranches)
    .findLastIndex(({ messages }, index, { length }) => {
      for (const { id, text } of messages) if (!seen.has(id)) characters += text.length;
      for (const { id } of messages) seen.add(id);
      return index < length - 1 && characters > mostBranchCharacters;
    });
  return {
    ...conversation,
    branches: branchesOf(conversation)
      .slice(-mostBranches)
      .slice(kept + 1),
  };
}

function beginsAlike(left: readonly Message[], right: readonly Message[], length: number): boolean {
  return left.slice(0, length).every(({ id }, index) => right[index]?.id === id) && right.length >= length;
}

/** An answer that failed before its first word is nothing to go back to. */
function hasContent(message: Message): boolean {
  return message.role === "user" || message.text !== "";
}
