import { describe, expect, it } from "vitest";
import type { SessionFacts } from "../../../workers/page/src/api/sessions.ts";
import { turnsOf as readTurns } from "../../../workers/page/src/api/turns.ts";
import { reduce } from "../../../workers/page/src/state/reducer.ts";
import { transcriptOf } from "../../../workers/page/src/state/transcript.ts";
import type { Conversation, Message, State } from "../../../workers/page/src/state/types.ts";
import { answer as anyAnswer, conversation as anyConversation, state, user } from "./support.ts";

const facts = (turns: number, more: Partial<SessionFacts> = {}): SessionFacts => ({
  ...{
    id: "s",
    name: "n",
    model: "m",
    updated: 1,
    expires: 2,
    tokens: 30 * turns,
    turns,
    stateBytes: 1,
    tier: "hot",
    parent: null,
    running: null,
  },
  ...more,
});
const answer = (id: string, turn?: number): Message => anyAnswer(id, turn === undefined ? {} : { turn });
const conversation = (messages: readonly Message[], turns: number | null): Conversation => ({
  ...anyConversation("c", messages),
  session: { id: "s", model: "m", system: "", turns },
});
const turnsOf = ({ conversations }: State) => conversations[0]?.messages.map((message) => (message.role === "user" ? null : message.turn));

describe("what the server says of a session", () => {
  const two = [user("u1"), answer("a1", 1), user("u2"), answer("a2", 2)];

  it("takes turns away that it has not", () => {
    const after = reduce(state(conversation(two, null)), { type: "session-told", id: "c", facts: facts(1) });
    expect(turnsOf(after)).toEqual([null, 1, null, undefined]);
    expect(after.conversations[0]).toMatchObject({ session: { turns: 1 } });
    expect(after.conversations[0]?.behind).toBeUndefined();
  });

  it("makes a conversation fall behind that went on elsewhere, and nothing else", () => {
    const told = (turns: number | null, said: SessionFacts) =>
      reduce(state(conversation(two, turns)), { type: "session-told", id: "c", facts: said }).conversations[0]?.behind;
    expect(told(2, facts(3))).toBe(true);
    expect(told(2, facts(2))).toBeUndefined();
    // A turn whose end was not seen is this browser's own.
    expect(told(null, facts(3))).toBeUndefined();
    expect(told(2, facts(3, { running: "stream" }))).toBeUndefined();
  });

  it("is caught up with by the transcript, and what was not sent yet stays", () => {
    const behind = { ...conversation([...two, user("unsent")], 2), behind: true as const };
    const turns = [1, 2, 3].map((number) => ({
      number,
      messages: [
        { role: "user" as const, content: `u${number}` },
        { role: "assistant" as const, content: `a${number}` },
      ],
      finish: "stop" as const,
    }));
    const transcript = transcriptOf("s", "m", turns);
    const after = reduce(state(behind), { type: "transcript-loaded", id: "c", transcript, facts: facts(3) }).conversations[0];
    expect(after?.messages.map(({ text }) => text)).toEqual(["u1", "a1", "u2", "a2", "u3", "a3", "unsent"]);
    expect(after?.behind).toBeUndefined();
  });
});

describe("the server's list", () => {
  it("adds what is not known, renames what was renamed elsewhere, and drops what only it told of", () => {
    const known = { ...conversation([user("u1")], 0), facts: facts(0, { name: "before" }) };
    const listed = reduce(state(known), { type: "sessions-listed", sessions: [facts(0, { name: "after" }), facts(1, { id: "other" })] });
    expect(listed.conversations.map(({ id, name }) => [id, name])).toEqual([
      ["other", "n"],
      ["c", "after"],
    ]);
    const later = reduce(listed, { type: "sessions-listed", sessions: [] });
    expect(later.conversations.map(({ id }) => id)).toEqual(["c"]);
  });
});

describe("a transcript", () => {
  it("keeps the system prompt and a document out of what is shown", () => {
    const turns = [
      { number: 0, messages: [{ role: "system" as const, content: "A long document" }], finish: "stop" as const },
      {
        number: 1,
        messages: [
          { role: "system" as const, content: "Be brief." },
          { role: "user" as const, content: "Why?" },
          { role: "assistant" as const, content: "Beca" },
        ],
        finish: "cancelled" as const,
      },
    ];
    const { messages, system, document } = transcriptOf("s", "m", turns);
    expect({ system, document }).toEqual({ system: "Be brief.", document: "A long document" });
    expect(messages).toMatchObject([
      { id: "s.1.1", role: "user", text: "Why?" },
      { id: "s.1.2", role: "assistant", text: "Beca", status: "stopped", turn: 1 },
    ]);
  });
});

describe("a transcript with calls of functions", () => {
  it("shows each as code, and what it gave as what was said next", () => {
    const called = (id: string, given: string) => ({ id, type: "function", function: { name: "look", arguments: given } });
    const [first, second] = readTurns([
      {
        number: 1,
        messages: [
          { role: "user", content: "Where?" },
          { role: "assistant", content: "Wait.", tool_calls: [called("a", '{"at": "```"}'), called("b", "{}")] },
        ],
        finish: "tool_calls",
      },
      {
        number: 2,
        messages: [
          { role: "tool", tool_call_id: "a", content: "here" },
          { role: "assistant", content: "Here." },
        ],
        finish: "stop",
      },
    ]);
    expect(first?.messages.at(-1)).toEqual({
      role: "assistant",
      content: 'Wait.\n\n````js\nlook({"at": "```"})\n````\n\n```js\nlook({})\n```',
    });
    expect(second?.messages).toEqual([
      { role: "user", content: "look() → here" },
      { role: "assistant", content: "Here." },
    ]);
  });
});
