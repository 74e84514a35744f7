import { describe, expect, it } from "vitest";
import { planAlone, prefillGrain, toPlan, type Candidate } from "../../../workers/engine/step-plan.ts";

const reading = (handle: number, pending: number, position = 0): Candidate => ({ handle, pending, position });

const planStep = (candidates: readonly Candidate[], budget: number): Uint32Array => toPlan(candidates, planAlone(candidates, budget));

describe("planAlone", () => {
  it.each<[name: string, candidates: Candidate[], plan: number[]]>([
    ["nothing to do", [reading(1, 0)], []],
    ["decoding sequences all take part", [reading(1, 1, 9), reading(2, 1, 5)], [1, 1, 2, 1]],
    ["one prompt takes the whole budget", [reading(1, 500)], [1, 64]],
    ["two prompts share it", [reading(1, 500), reading(2, 500)], [1, 32, 2, 32]],
    ["three prompts: the last one waits for the next pass", [reading(1, 500), reading(2, 500), reading(3, 500)], [1, 32, 2, 32]],
    ["what a short prompt leaves goes to the next", [reading(1, 10), reading(2, 500)], [1, 10, 2, 32]],
    ["a cut ends where a tile ends", [reading(1, 500, 40)], [1, 56]],
    ["decoding costs no prefill budget", [reading(1, 1, 3), reading(2, 64)], [1, 1, 2, 64]],
  ])("%s", (_, candidates, plan) => {
    expect([...planStep(candidates, 64)]).toEqual(plan);
  });

  it("ends messages that have begun before it begins others", () => {
    const begun = { ...reading(3, 8, 32), servedAt: 7 };
    expect([...planStep([reading(1, 40), reading(2, 40), begun], 64)]).toEqual([1, 40, 3, 8]);
    expect([...planStep([reading(1, 500), reading(2, 40), begun], 64)]).toEqual([1, 32, 3, 8]);
    expect([...planStep([reading(1, 40), { ...reading(2, 500, 32), servedAt: 7 }, begun], 80)]).toEqual([1, 40, 2, 32, 3, 8]);
  });

  it("lets the senders of sixteen messages wait for fewer tokens on average than all of them have", () => {
    let candidates = Array.from({ length: 16 }, (_, index) => reading(index + 1, 40));
    const waits: number[] = [];
    let read = 0;
    for (let step = 1; candidates.length > 0; step += 1) {
      const plan = planStep(
        candidates.toSorted((left, right) => (left.servedAt ?? 0) - (right.servedAt ?? 0)),
        64,
      );
      const counts = new Map(Array.from({ length: plan.length / 2 }, (_, index) => [plan[index * 2], plan[index * 2 + 1] ?? 0]));
      for (const count of counts.values()) read += count;
      candidates = candidates.flatMap((candidate) => {
        const count = counts.get(candidate.handle);
        if (count === undefined) return [candidate];
        if (count === candidate.pending) waits.push(read);
        return count === candidate.pending ? [] : [{ ...reading(candidate.handle, candidate.pending - count, count), servedAt: step }];
      });
    }
    expect(read).toBe(16 * 40);
    // One after another they would wait for 0.53 of all tokens on average, all at once for 0.9 and more.
    expect(waits.reduce((sum, wait) => sum + wait, 0) / waits.length).toBeLessThan(0.6 * read);
  });

  it("reads every prompt to its end, cutting only at tiles", () => {
    let candidates = [reading(1, 100), reading(2, 33), reading(3, 257, 17)];
    for (let step = 0; candidates.some(({ pending }) => pending > 0); step += 1) {
      expect(step).toBeLessThan(20);
      const plan = planStep([...candidates.slice(step % 3), ...candidates.slice(0, step % 3)], 64);
      const counts = new Map(Array.from({ length: plan.length / 2 }, (_, index) => [plan[index * 2], plan[index * 2 + 1] ?? 0]));
      candidates = candidates.map(({ handle, pending, position }) => {
        const count = counts.get(handle) ?? 0;
        if (count < pending && count > 0) expect((position + count) % prefillGrain).toBe(0);
        return reading(handle, pending - count, position + count);
      });
    }
  });
});
