/** Who is served next, who takes part in a pass, and whose memory goes to whom: shares first. */
import { describe, expect, it } from "vitest";
import { makingRoomFor, nextToGiveWay } from "../../../workers/engine/giving-way.ts";
import { fullQueue } from "../../../workers/engine/queue.ts";
import { hasPlace, inOrder, nextToAdmit, type Claim } from "../../../workers/engine/shares.ts";

const named = (name: string): Claim & { readonly name: string } => ({
  name,
  share: name.startsWith("nobody") ? null : (name[0] ?? ""),
  yields: name.endsWith("document"),
});

describe("nextToAdmit", () => {
  it.each<[rule: string, waiting: string[], running: string[], next: string | undefined]>([
    ["nobody waits", [], ["a1"], undefined],
    ["one share: first come, first served", ["a3", "a4"], ["a1", "a2"], "a3"],
    ["a share that has nothing running comes before one that has", ["a3", "a4", "b1"], ["a1", "a2"], "b1"],
    ["and so does one that has less", ["a3", "b2", "c1"], ["a1", "a2", "b1", "c0", "c2", "c3"], "b2"],
    ["of shares that have as much, the first to come", ["a3", "b2"], ["a1", "b1"], "a3"],
    ["a document comes last, were it the only one of its share", ["c document", "a3"], ["a1", "a2"], "a3"],
    ["and before nobody else", ["c document"], ["a1"], "c document"],
    ["those without a name are one share", ["nobody 2", "a2"], ["nobody 1"], "a2"],
  ])("%s", (_rule, waiting, running, next) => {
    expect(nextToAdmit(waiting.map(named), running.map(named))?.name).toBe(next);
  });
});

describe("hasPlace", () => {
  const many = (share: string, count: number) => Array.from({ length: count }, () => ({ share, yields: false }));
  it.each<[rule: string, running: Claim[], has: boolean]>([
    ["below the bound", many("a", 3), true],
    ["a share that fills it waits", many("a", 4), false],
    ["another's first comes beyond it", many("b", 4), true],
    ["and not another's second", [...many("b", 4), ...many("a", 1)], false],
    ["up to as many again", [...many("b", 5), ...many("c", 3)], false],
  ])("%s", (_rule, running, has) => {
    expect(hasPlace({ share: "a", yields: false }, running, 4)).toBe(has);
  });
});

describe("inOrder", () => {
  const candidate = (share: string, name: number, servedAt = 0) => ({ share, name, servedAt });
  const names = (candidates: readonly { readonly name: number }[]) => candidates.map(({ name }) => name);
  it("puts first of one share whoever took part the longest ago", () => {
    expect(names(inOrder([candidate("a", 1, 5), candidate("a", 2, 3), candidate("a", 3, 4)], 6))).toEqual([2, 3, 1]);
  });
  it("lets another share be first in every round, one sequence of each after another", () => {
    const candidates = [candidate("a", 1), candidate("a", 2), candidate("a", 3), candidate("b", 4), candidate("c", 5)];
    expect(names(inOrder(candidates, 3))).toEqual([1, 4, 5, 2, 3]);
    expect(names(inOrder(candidates, 4))).toEqual([4, 5, 1, 2, 3]);
    expect(names(inOrder(candidates, 5))).toEqual([5, 1, 4, 2, 3]);
  });
});

describe("giving way", () => {
  interface Holder extends Claim {
    readonly name: string;
    readonly stateBytes: number;
    readonly canReadAgain: boolean;
    readonly hasProgressed: boolean;
    readonly insists: boolean;
    readonly holdsForSaving: boolean;
    readonly isForItsState: boolean;
    readonly stalledSince: undefined;
    readonly finishedAt: undefined;
    readonly generated: number;
  }
  const holder = (name: string, stateBytes: number, changes: Partial<Holder> = {}): Holder => ({
    ...named(name),
    stateBytes,
    canReadAgain: true,
    hasProgressed: true,
    insists: false,
    holdsForSaving: false,
    isForItsState: false,
    stalledSince: undefined,
    finishedAt: undefined,
    generated: 0,
    ...changes,
  });

  it.each<[rule: string, running: Holder[], first: string]>([
    ["one share: the youngest", [holder("a1", 9), holder("a2", 1)], "a2"],
    ["the share that holds the most, not the youngest of another", [holder("a1", 3), holder("a2", 3), holder("b1", 5)], "a2"],
    ["were it in one sequence", [holder("a1", 6), holder("b1", 2), holder("b2", 3)], "a1"],
    ["before everybody what is read in the background", [holder("c document", 1), holder("a1", 3), holder("a2", 3)], "c document"],
    ["a document that insists stays", [holder("c document", 9, { yields: false, insists: true }), holder("a1", 3)], "a1"],
    ["one that has got no further since it gave way stays", [holder("a1", 9), holder("a2", 9, { hasProgressed: false })], "a1"],
    ["where nobody has, the oldest gets on", [holder("a1", 9, { hasProgressed: false }), holder("b1", 2, { hasProgressed: false })], "b1"],
    ["what can't be read again comes last", [holder("a1", 9, { canReadAgain: false }), holder("b1", 2)], "b1"],
  ])("%s", (_rule, running, first) => {
    expect(nextToGiveWay(running, [])?.name).toBe(first);
  });

  it("takes the state of an answer that has ended before anything, and what a document was read for after everything", () => {
    const saving = [holder("a1", 3), holder("c document", 9, { isForItsState: true })];
    expect(nextToGiveWay([holder("b1", 2)], saving)?.name).toBe("a1");
    expect(nextToGiveWay([holder("b1", 2)], saving.slice(1))?.name).toBe("b1");
    expect(nextToGiveWay([holder("b1", 2, { canReadAgain: false })], saving.slice(1))?.name).toBe("c document");
  });

  it.each<[rule: string, waiting: string, bytes: number, free: number, running: Holder[], going: string[]]>([
    ["the youngest of a share that holds more", "b1", 2, 0, [holder("a1", 4), holder("a2", 4)], ["a2"]],
    ["as many as it takes", "b1", 5, 0, [holder("a1", 4), holder("a2", 4), holder("a3", 4)], ["a3", "a2"]],
    ["what is free counts", "b1", 5, 1, [holder("a1", 4), holder("a2", 4), holder("a3", 4)], ["a3"]],
    ["nobody of a share that would hold less", "b1", 5, 0, [holder("a1", 4)], []],
    ["nobody of its own share", "a3", 2, 0, [holder("a1", 4), holder("a2", 4)], []],
    ["nobody where it would not be enough", "b1", 7, 0, [holder("a1", 4), holder("a2", 4)], []],
    ["nobody who has got no further", "b1", 2, 0, [holder("a1", 4, { hasProgressed: false })], []],
    [
      "what can be read again before what began with a state",
      ...(["b1", 5, 0] as const),
      [holder("a1", 4), holder("a2", 4, { canReadAgain: false, generated: 1 }), holder("a3", 4)],
      ["a3", "a1"],
    ],
    [
      "what began with a state once it has brought a token",
      ...(["b1", 2, 0] as const),
      [holder("a1", 4, { canReadAgain: false, generated: 1 }), holder("a2", 4, { canReadAgain: false })],
      ["a1"],
    ],
    ["a document first", "a2", 3, 0, [holder("c document", 4), holder("b1", 9), holder("b2", 9)], ["c document"]],
    ["nobody for a document", "c document", 3, 0, [holder("b1", 9), holder("b2", 9)], []],
    ["not a document that insists", "a2", 3, 0, [holder("c document", 9, { yields: false, insists: true })], []],
  ])("for one that waits: %s", (_rule, waiting, bytes, free, running, going) => {
    expect(makingRoomFor(named(waiting), bytes, free, running).map(({ name }) => name)).toEqual(going);
  });
});

describe("fullQueue", () => {
  const waiting = (share: string | null, count: number, heldIds = 10) => Array.from({ length: count }, () => ({ share, heldIds }));
  const limits = { waiting: 8, waitingTokens: 1000 };
  const ask = (share: string | null, queue: ReturnType<typeof waiting>, tokens = 10) =>
    fullQueue({ share, prompt: new Uint32Array(tokens) }, queue, limits);
  it("leaves others a place, however many one share has waiting, and tells nobody how many those are", () => {
    expect(ask("a", waiting("a", 5))).toBeUndefined();
    expect(ask("a", waiting("a", 6))).toMatchObject({
      code: "overloaded",
      message: expect.stringMatching(/6 requests are waiting/) as string,
    });
    expect(ask("b", waiting("a", 6))).toBeUndefined();
    const full = ask("b", [...waiting("a", 6), ...waiting("c", 2)]);
    expect(full).toMatchObject({ code: "overloaded", status: 503, retryable: true });
    expect(full?.message).not.toMatch(/\d/);
  });
  it("and so with the tokens of their prompts", () => {
    expect(ask("a", waiting("a", 1, 700), 60)).toMatchObject({ message: expect.stringMatching(/700 tokens are waiting/) as string });
    expect(ask("b", waiting("a", 1, 700), 60)).toBeUndefined();
    expect(ask("b", waiting("a", 1, 700), 600)?.message).not.toMatch(/\d/);
    expect(ask("b", [], 5000)).toBeUndefined();
  });
});
