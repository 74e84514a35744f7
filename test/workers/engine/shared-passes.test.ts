/** Who takes part in a pass that several shares want, and that nobody has more of many passes than another one who asks for as much. */
import { describe, expect, it } from "vitest";
import { inOrder } from "../../../workers/engine/shares.ts";
import { mostCredit, SharedPasses } from "../../../workers/engine/shared-passes.ts";
import { mostAnswering, planAlone, prefillGrain, toPlan, type Candidate } from "../../../workers/engine/step-plan.ts";

const budget = 64;
const of = (share: string | null, first: number, count: number, pending = 1): Candidate[] =>
  Array.from({ length: count }, (_, at) => ({ handle: first + at, pending, position: 0, share }));
const pairs = (plan: Uint32Array): (readonly [handle: number, count: number])[] =>
  Array.from({ length: plan.length / 2 }, (_, index) => [plan[2 * index] ?? 0, plan[2 * index + 1] ?? 0] as const);

/** Passes over what shares have, until it is all read or so many passes are over: what each has read in each of them. */
function passes(passes: SharedPasses, candidates: readonly Candidate[], most: number, { endless = false } = {}): Map<string, number>[] {
  let left = candidates.map((candidate) => ({ ...candidate, servedAt: 0 }));
  const seen: Map<string, number>[] = [];
  for (let round = 1; round <= most && left.length > 0; round += 1) {
    const counts = new Map(pairs(passes.plan(inOrder(left, round), budget)));
    const read = new Map<string, number>();
    left = left.flatMap((candidate) => {
      const count = counts.get(candidate.handle) ?? 0;
      const share = candidate.share ?? "nobody";
      if (count > 0) read.set(share, (read.get(share) ?? 0) + count);
      const pending = candidate.pending - count;
      const servedAt = count > 0 ? round : candidate.servedAt;
      if (pending > 0) return [{ ...candidate, pending, position: candidate.position + count, servedAt }];
      // An answer goes on with its next token.
      return endless ? [{ ...candidate, pending: 1, position: candidate.position + count, servedAt }] : [];
    });
    seen.push(read);
  }
  return seen;
}

const sum = (seen: readonly Map<string, number>[], share: string): number =>
  seen.reduce((total, read) => total + (read.get(share) ?? 0), 0);

/** Shares whose credit is used up: they have read much beside one another. */
function used(...shares: string[]): SharedPasses {
  const shared = new SharedPasses();
  passes(
    shared,
    shares.flatMap((share, at) => of(share, 10 * at + 1, 1, 100_000)),
    50,
  );
  return shared;
}

describe("a pass that several shares want", () => {
  it.each<[rule: string, candidates: Candidate[], counts: Record<string, number>]>([
    ["alone a share has all of a pass", of("a", 1, 16), { a: 16 }],
    ["and no more than fit in it", of("a", 1, 30), { a: 16 }],
    ["beside one answer of another it has one", [...of("a", 1, 15), ...of("b", 101, 1)], { a: 1, b: 1 }],
    ["beside three it has as many", [...of("a", 1, 13), ...of("b", 101, 3)], { a: 3, b: 3 }],
    ["beside as many nobody has less than alone", [...of("a", 1, 8), ...of("b", 101, 8)], { a: 8, b: 8 }],
    ["of two that have many each has half of the places", [...of("a", 1, 14), ...of("b", 101, 14)], { a: 8, b: 8 }],
    ["a message is read at once, and nobody is left out meanwhile", [...of("a", 1, 15), ...of("b", 101, 1, 40)], { a: 1, b: 40 }],
    ["the budget goes round the shares", [...of("a", 1, 9, 500), ...of("b", 101, 1, 500)], { a: 32, b: 32 }],
    ["what one share leaves of it, others take", [...of("b", 101, 1, 10), ...of("a", 1, 9, 500)], { a: 32, b: 10 }],
    ["those without a name are one share", [...of(null, 1, 15), ...of("b", 101, 1)], { nobody: 1, b: 1 }],
  ])("%s", (_rule, candidates, counts) => {
    const [first] = passes(new SharedPasses(), candidates, 1);
    expect(Object.fromEntries(first ?? [])).toEqual(counts);
  });

  it("is the same for a lone share as without the others, whatever came before", () => {
    const shared = used("a", "b");
    for (const candidates of [of("a", 1, 16), [...of("a", 1, 5), ...of("a", 20, 4, 100)], of("b", 1, 3, 500)])
      expect(shared.plan(candidates, budget)).toEqual(toPlan(candidates, planAlone(candidates, budget)));
  });

  it("gives what is read in the background the part that was chosen for it, and reckons nothing for it", () => {
    const document = of("c", 200, 1, 32).map((candidate) => ({ ...candidate, yields: true }));
    const both = [...of("a", 1, 3), ...of("b", 101, 1)];
    const plan = pairs(new SharedPasses().plan([...document, ...both], 32));
    expect(plan).toEqual([[200, 32], ...pairs(new SharedPasses().plan(both, 32))]);
  });
});

describe("many passes", () => {
  it("give an answer as much as the prompts beside it, however many those are", () => {
    const seen = passes(used("a", "b"), [...of("a", 1, 1), ...of("b", 101, 30, 5000)], 320, { endless: true });
    // The answer has a token in every pass; an answer's token costs as much as two of a prompt.
    expect(sum(seen, "a")).toBe(320);
    expect(Math.abs(sum(seen, "b") - 640)).toBeLessThanOrEqual(mostCredit + prefillGrain);
  });

  it("divide a share's part between its own answers and prompts", () => {
    const seen = passes(used("a", "b"), [...of("a", 1, 1), ...of("b", 201, 8), ...of("b", 101, 3, 5000)], 640, { endless: true });
    const cost = (read: Map<string, number>): number => {
      const all = read.get("b") ?? 0;
      return all >= prefillGrain ? prefillGrain + 2 * (all - prefillGrain) : 2 * all;
    };
    expect(sum(seen, "a")).toBe(640);
    const ofB = seen.reduce((total, read) => total + cost(read), 0);
    expect(Math.abs(ofB - 1280)).toBeLessThanOrEqual(mostCredit + prefillGrain);
    const answers = seen.reduce((total, read) => total + ((read.get("b") ?? 0) % prefillGrain), 0);
    expect(answers).toBeGreaterThan(280);
    expect(answers).toBeLessThan(340);
  });

  it("let nobody come again and again with messages and have more than a share", () => {
    const shared = new SharedPasses();
    let read = 0;
    let position = 0;
    // As soon as a message is read the next one is there.
    for (let round = 1, pending = 100; round <= 1000; round += 1) {
      const candidates = inOrder([...of("a", 1, 1), { handle: 2, pending, position, share: "b", servedAt: round - 1 }], round);
      const count = new Map(pairs(shared.plan(candidates, budget))).get(2) ?? 0;
      read += count;
      [pending, position] = pending === count ? [100, 0] : [pending - count, position + count];
    }
    expect(read).toBeLessThanOrEqual(2 * 1000 + mostCredit + 100);
    expect(read).toBeGreaterThan(1800);
  });

  it("let who was quiet have a message read at once again", () => {
    const shared = used("a", "b");
    const message = (): number => {
      let left = 60;
      for (let round = 1; ; round += 1) {
        const candidates = [...of("a", 1, 1), { handle: 101, pending: left, position: 60 - left, share: "b" }];
        left -= new Map(pairs(shared.plan(candidates, budget))).get(101) ?? 0;
        if (left === 0) return round;
      }
    };
    expect(message()).toBeGreaterThan(20);
    // Meanwhile others are served.
    for (let pass = 0; pass < mostCredit; pass += 1) shared.plan(of("a", 1, 1), budget);
    expect(message()).toBe(1);
  });

  /** Shares that want something all the time: the naive rule is that each has as much as any other. */
  it.each(Array.from({ length: 40 }, (_, seed) => seed))("are as even as can be for shares that always want more (seed %i)", (seed) => {
    let state = seed + 1;
    const random = (below: number): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below;
    const shares = ["a", "b", "c", "d", "e"].slice(0, 2 + random(4));
    // Twenty answers are more than a pass has places for; a prompt that never ends is more than it reads.
    const kinds = shares.map(() => random(3));
    const candidates = shares.flatMap((share, at) => [
      ...(kinds[at] === 1 ? [] : of(share, 100 * at + 1, 20)),
      ...(kinds[at] === 0 ? [] : of(share, 100 * at + 50, 1 + random(3), 1_000_000)),
    ]);
    const shared = new SharedPasses();
    const cost = new Map(shares.map((share) => [share, 0]));
    let left = candidates.map((candidate) => ({ ...candidate, servedAt: 0 }));
    for (let round = 1; round <= 600; round += 1) {
      const plan = shared.plan(inOrder(left, round), budget);
      expect(plan.length).toBeGreaterThan(0);
      const counts = new Map(pairs(plan));
      expect([...counts.values()].filter((count) => count === 1).length).toBeLessThanOrEqual(mostAnswering);
      left = left.map((candidate) => {
        const count = counts.get(candidate.handle) ?? 0;
        const share = candidate.share ?? "";
        cost.set(share, (cost.get(share) ?? 0) + (candidate.pending === 1 ? 2 * count : count));
        const grows = candidate.pending === 1 ? 0 : count;
        return {
          ...candidate,
          pending: candidate.pending - grows,
          position: candidate.position + count,
          servedAt: count > 0 ? round : candidate.servedAt,
        };
      });
    }
    const costs = [...cost.values()];
    // What anybody brought along, a grain that is saved for, and half a pass.
    expect(Math.max(...costs) - Math.min(...costs), `${kinds.join(",")}: ${costs.join(", ")}`).toBeLessThanOrEqual(
      mostCredit + 2 * prefillGrain + 2 * mostAnswering,
    );
    expect(Math.min(...costs)).toBeGreaterThan(1000);
  });
});
