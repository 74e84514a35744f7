/** Where the engine in the browser goes on: what of a conversation it has is told by the text, whatever was edited meanwhile. */
import { describe, expect, it } from "vitest";
import { startOf, withState, type Remembered, type RememberedTurn } from "../../../workers/page/device/conversation.ts";
import type { DeviceMessage } from "../../../workers/page/device/protocol.ts";

const says = (role: DeviceMessage["role"], content: string): DeviceMessage => ({ role, content });
const [system, a, b, c] = [says("system", "Be brief."), says("user", "a"), says("user", "b"), says("user", "c")];
const [one, two, empty] = [says("assistant", "one"), says("assistant", "two"), says("assistant", "")];

const turn = (number: number, tokens: number, messages: readonly DeviceMessage[]): RememberedTurn => {
  return { number, tokens, messages, finish: "stop", created: 0 };
};
const bytes = new Uint8Array(1);
const remembered = (turns: readonly RememberedTurn[], states: readonly number[] = []): Remembered => ({
  ...{ id: "x", model: "m", tokenizer: "t", turns, updated: 0 },
  tokens: Uint32Array.from({ length: turns.at(-1)?.tokens ?? 0 }, (_, at) => at),
  states: states.map((tokens) => ({ tokens, bytes })),
});
const chat = remembered([turn(1, 4, [system, a, one]), turn(2, 9, [b, two])], [4, 9]);

describe("where a turn goes on", () => {
  it.each<[string, Remembered | undefined, readonly DeviceMessage[], [tokens: number, state: number, added: readonly DeviceMessage[]]]>([
    ["nothing is remembered", undefined, [system, a], [0, 0, [system, a]]],
    ["after the last turn", chat, [system, a, one, b, two, c], [9, 9, [c]]],
    ["the last one is answered again", chat, [system, a, one, b], [4, 4, [b]]],
    ["the last question was edited", chat, [system, a, one, c], [4, 4, [c]]],
    ["the first was", chat, [system, b], [0, 0, [system, b]]],
    ["the system prompt was", chat, [says("system", "Rhyme."), a, one, c], [0, 0, [says("system", "Rhyme."), a, one, c]]],
    ["an answer is none of its own", chat, [system, a, one, b, one, c], [0, 0, [system, a, one, b, one, c]]],
    ["an answer without a word stays", remembered([turn(1, 4, [a, empty])]), [a, b], [4, 0, [b]]],
    ["a state that has read more is of no use", { ...chat, states: [{ tokens: 6, bytes }] }, [system, a, one, c], [4, 0, [c]]],
  ])("%s", (_, before, messages, [tokens, state, added]) => {
    const start = startOf(before, messages);
    expect([start.tokens.length, start.state?.tokens ?? 0, start.added]).toEqual([tokens, state, added]);
    expect(start.turns.at(-1)?.tokens ?? 0).toBe(tokens);
  });

  it("a document stands before all turns, and in the system prompt's place", () => {
    const about = remembered([turn(0, 50, [says("system", "A long text.")]), turn(1, 60, [a, one])], [50, 60]);
    expect(startOf(about, [system, a, one, b])).toMatchObject({ tokens: { length: 60 }, state: { tokens: 60 }, added: [b] });
    expect(startOf(about, [system, b, two, c])).toMatchObject({ tokens: { length: 50 }, state: { tokens: 50 }, added: [b, c] });
  });
});

it("keeps the states of the two latest turns, and of an answer that left none nothing", () => {
  const tokens = (states: readonly { readonly tokens: number }[]) => states.map((state) => state.tokens);
  expect(tokens(withState(chat.states, 12, { tokens: 12, bytes }))).toEqual([9, 12]);
  expect(tokens(withState(chat.states, 9, { tokens: 9, bytes }))).toEqual([4, 9]);
  expect(tokens(withState(chat.states, 12, undefined))).toEqual([4, 9]);
});
