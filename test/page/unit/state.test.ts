import { describe, expect, it } from "vitest";
import { createMeter } from "../../../workers/page/src/state/meter.ts";
import { reduce } from "../../../workers/page/src/state/reducer.ts";
import { contextTokens, conversationTitle, isRunning, latestState, tokensPerSecond } from "../../../workers/page/src/state/selectors.ts";
import { defaultSettings } from "../../../workers/page/src/state/settings.ts";
import { interrupted } from "../../../workers/page/src/state/update.ts";
import type { State } from "../../../workers/page/src/state/types.ts";
import { answer, conversation, noMeasure, state, user } from "./support.ts";

function idsOf(target: State): string[] | undefined {
  return target.conversations[0]?.messages.map((message) => message.id);
}

describe("messages", () => {
  const before = state(conversation("c", [user("u1"), answer("a1"), user("u2"), answer("a2")]));

  it("are added at the end", () => {
    const after = reduce(before, { type: "messages-replaced", id: "c", added: [user("u3")], now: 2 });
    expect(idsOf(after)).toEqual(["u1", "a1", "u2", "a2", "u3"]);
  });

  it("are dropped from the one that is replaced", () => {
    const after = reduce(before, { type: "messages-replaced", id: "c", from: "u2", added: [user("u9"), answer("a9")], now: 2 });
    expect(idsOf(after)).toEqual(["u1", "a1", "u9", "a9"]);
  });

  it("of another conversation stay as they are", () => {
    const both = state(conversation("c", [user("u1")], 2), conversation("d", [user("u1")], 1));
    const after = reduce(both, { type: "messages-replaced", id: "c", from: "u1", added: [], now: 3 });
    expect(after.conversations[1]).toBe(both.conversations[1]);
  });
});

describe("an answer", () => {
  it("grows and ends", () => {
    let current = state(conversation("c", [user("u"), answer("a", { text: "", status: "waiting" })]));
    expect(isRunning(current.conversations[0] ?? null)).toBe(true);
    for (const text of ["Hel", "lo"]) current = reduce(current, { type: "answer-grew", id: "c", messageId: "a", text, measure: noMeasure });
    const failure = { kind: "cut" } as const;
    current = reduce(current, { type: "answer-ended", id: "c", messageId: "a", status: "failed", measure: noMeasure, failure, now: 5 });
    expect(current.conversations[0]?.messages[1]).toMatchObject({ text: "Hello", status: "failed", failure });
    expect(isRunning(current.conversations[0] ?? null)).toBe(false);
  });

  it("that was cut off by a reload counts as stopped, and a whole one is left alone", () => {
    expect(interrupted(answer("a", { status: "streaming" }))).toMatchObject({ status: "stopped" });
    const whole = answer("a");
    expect(interrupted(whole)).toBe(whole);
  });
});

describe("conversations", () => {
  it("come newest first", () => {
    const two = state(conversation("old", [user("u")], 1), conversation("older", [user("u")], 0));
    const after = reduce(two, { type: "messages-replaced", id: "older", added: [user("v")], now: 9 });
    expect(after.conversations.map(({ id }) => id)).toEqual(["older", "old"]);
  });

  it("can be deleted and brought back", () => {
    const before = state(conversation("c", [user("u"), answer("a", { status: "streaming" })]));
    const deleted = reduce(before, { type: "conversation-deleted", id: "c" });
    expect(deleted).toMatchObject({ conversations: [], currentId: null, deleted: { id: "c" } });
    const restored = reduce(deleted, { type: "conversation-restored" });
    expect(restored).toMatchObject({ currentId: "c", deleted: null });
    expect(restored.conversations[0]?.messages[1]).toMatchObject({ status: "stopped" });
  });

  it("forget an undo only for the deletion it belongs to", () => {
    const deleted = reduce(state(conversation("c", [])), { type: "conversation-deleted", id: "c" });
    expect(reduce(deleted, { type: "deletion-settled", id: "other" }).deleted?.id).toBe("c");
    expect(reduce(deleted, { type: "deletion-settled", id: "c" }).deleted).toBeNull();
  });

  it("are named by the person, else by their beginning, cut between characters", () => {
    expect(conversationTitle({ ...conversation("c", [user("u")]), name: "Mine" })).toBe("Mine");
    expect(conversationTitle(conversation("c", [user("u", " one\n two ")]))).toBe("one two");
    expect(conversationTitle(conversation("c", [user("u", "🎈".repeat(80))]))).toBe(`${"🎈".repeat(60)}…`);
    expect(conversationTitle(conversation("c", []))).toBeNull();
  });

  it("keep a name that was taken away empty", () => {
    const named = state({ ...conversation("c", []), name: "Mine" });
    expect(reduce(named, { type: "conversation-renamed", id: "c", name: "  " }).conversations[0]?.name).toBeNull();
  });

  it("take changed settings, and so do new ones", () => {
    const settings = { ...defaultSettings, system: "be brief" };
    const after = reduce(state(conversation("c", [])), { type: "settings-changed", settings, now: 2 });
    expect(after.conversations[0]?.settings).toBe(settings);
    expect(after.preferences.settings).toBe(settings);
  });
});

describe("measures", () => {
  it("count the first token as the prompt's time and the rest as speed", () => {
    let clock = 1_000;
    const meter = createMeter(() => clock);
    for (const time of [1_500, 1_600, 1_700]) {
      clock = time;
      meter.see({ type: "delta", text: "x" });
    }
    expect(meter.read()).toEqual({ firstTokenMs: 500, streamingMs: 200, deltas: 3 });
    expect(tokensPerSecond(meter.read())).toBe(10);
    meter.see({ type: "usage", promptTokens: 7, completionTokens: 5 });
    expect(tokensPerSecond(meter.read())).toBe(20);
    expect(contextTokens(answer("a", { measure: meter.read() }))).toBe(12);
  });

  it("tell the newest state of a conversation, also while the prompt is read", () => {
    const [first, second] = [
      { tokens: 5, bytes: 70 },
      { tokens: 9, bytes: 70 },
    ];
    const told = (measured: typeof first) => ({ measure: { ...noMeasure, state: measured } });
    let current = state(conversation("c", [user("u"), answer("a", told(first)), user("v"), answer("b", { status: "waiting" })]));
    expect(latestState(current.conversations[0] ?? null)).toBe(first);
    current = reduce(current, { type: "answer-measured", id: "c", messageId: "b", ...told(second) });
    expect(current.conversations[0]?.messages[3]).toMatchObject({ status: "waiting" });
    expect(latestState(current.conversations[0] ?? null)).toBe(second);
    expect(latestState(null)).toBeNull();
  });

  it("say nothing before there is something to say", () => {
    expect(tokensPerSecond({ deltas: 1, streamingMs: 0, firstTokenMs: 3 })).toBeNull();
    expect(contextTokens(answer("a"))).toBeNull();
  });
});
