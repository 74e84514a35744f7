import { describe, expect, it } from "vitest";
import { chooseVersion, leaveCourse, sessionsOf, versionsAt } from "../../../workers/page/src/state/branches.ts";
import { replaceMessages } from "../../../workers/page/src/state/conversation-reducer.ts";
import { defaultSettings } from "../../../workers/page/src/state/settings.ts";
import type { Conversation, Message } from "../../../workers/page/src/state/types.ts";

const user = (id: string, text = id): Message => ({ id, role: "user", text });
const answer = (id: string, text = id): Message => ({
  ...{ id, role: "assistant", text, status: "done", model: "m", measure: { deltas: 0, streamingMs: 0 } },
});
const link = (id: string) => ({ id, model: "m", system: "", turns: 1 });
const begun = (...messages: Message[]): Conversation => ({
  ...{ id: "c", name: null, updatedAt: 1, settings: defaultSettings, messages },
  session: link("s0"),
});
const replace = (conversation: Conversation, from: string, ...added: Message[]) => replaceMessages(conversation, { from, added, now: 2 });
const path = ({ messages }: Conversation) => messages.map(({ id }) => id);
const siblings = (conversation: Conversation, at: number) => versionsAt(conversation, at).map(({ id }) => id);

describe("branches", () => {
  it("are found where the courses part, in the order they were made", () => {
    const first = begun(user("q"), answer("a1"));
    const second = replace(first, "a1", answer("a2"));
    const third = replace(chooseVersion(second, "a1"), "a1", answer("a3"));
    expect(siblings(third, 1)).toEqual(["a1", "a2", "a3"]);
    expect(siblings(third, 0)).toEqual(["q"]);
    const edited = replace(third, "q", user("p"), answer("b"));
    expect([siblings(edited, 0), siblings(edited, 1)]).toEqual([["q", "p"], ["b"]]);
    expect(path(chooseVersion(edited, "q"))).toEqual(["q", "a3"]);
    expect(path(chooseVersion(chooseVersion(edited, "q"), "a2"))).toEqual(["q", "a2"]);
  });

  it("take their session with them", () => {
    const second = { ...replace(begun(user("q"), answer("a1")), "a1", answer("a2")), session: link("s1") };
    expect(sessionsOf(second)).toEqual(["s1", "s0"]);
    const back = chooseVersion(second, "a1");
    expect(back.session?.id).toBe("s0");
    expect(sessionsOf(back)).toEqual(["s0", "s1"]);
  });

  it("make no branch of nothing, and none of what is unknown", () => {
    const failed = begun(user("q"), answer("a1", ""));
    expect(leaveCourse(failed, 1).branches).toBeUndefined();
    expect(chooseVersion(failed, "elsewhere")).toBe(failed);
  });

  it("are bounded in number: the one that was left first goes, with its session", () => {
    let conversation = begun(user("q"), answer("a0"));
    for (let index = 1; index <= 20; index += 1)
      conversation = { ...replace(conversation, `a${index - 1}`, answer(`a${index}`)), session: link(`s${index}`) };
    expect(conversation.branches).toHaveLength(16);
    expect(siblings(conversation, 1)).toEqual(Array.from({ length: 17 }, (_, index) => `a${index + 4}`));
    expect(sessionsOf(conversation)).not.toContain("s3");
    expect(siblings(replace(conversation, "a20", answer("a21")), 1).at(-1)).toBe("a21");
  });

  it("are bounded in size, but the latest stays whatever its size", () => {
    const long = "x".repeat(250_000);
    let conversation = begun(user("q"), answer("a0", long));
    for (let index = 1; index <= 3; index += 1) conversation = replace(conversation, `a${index - 1}`, answer(`a${index}`, long));
    expect(siblings(conversation, 1)).toEqual(["a2", "a3"]);
    expect(siblings(replace(begun(user("q"), answer("a", "x".repeat(1_000_000))), "a", answer("b")), 1)).toEqual(["a", "b"]);
  });
});
