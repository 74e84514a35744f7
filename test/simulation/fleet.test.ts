/** The fleet's simulation by itself: what its figures must do whatever was measured. */
import { describe, expect, it } from "vitest";
import { passCost, sevenB, simulateFleet, sizeOf } from "../bench/stages/fleet.ts";

const measured = {
  weightsPerSecond: 5e9,
  passCosts: [
    [1, 1],
    [4, 2],
    [16, 5],
  ],
  hopSeconds: 0.001,
} as const;
const memoryBytes = 121 * 1024 * 1024;
const simulated = (streams: readonly number[], hopSeconds: readonly number[]) =>
  simulateFleet(sevenB, measured, { memoryBytes, streams, hopSeconds });

describe("the 7B over a fleet", () => {
  it("has as many weights as the released model, and a half of a layer alone fits in an isolate", () => {
    const size = sizeOf(sevenB);
    const whole = size({ embedding: [0, 152_064], sublayers: [0, 56], head: [0, 152_064] }).weights;
    expect((whole * 8) / 4.5 / 1e9).toBeCloseTo(7.61, 1);
    const { isolates, hops } = simulated([1], [0]);
    expect(isolates).toBeGreaterThan((whole - 1) / memoryBytes);
    // A layer's mixer and feed-forward together are larger than an isolate.
    expect(hops).toBe(56 + 2);
  });

  it("is faster the more streams fill it, until the slowest stage is never idle, and slower the longer a hop takes", () => {
    const { points } = simulated([1, 16, 64, 1024], [0.001]);
    const rates = points.map(({ tokensPerSecond }) => tokensPerSecond);
    expect(rates.toSorted((a, b) => a - b)).toEqual(rates);
    const costs = points.map(({ dollarsPerMillionTokens }) => dollarsPerMillionTokens);
    expect(costs.toSorted((a, b) => b - a)).toEqual(costs);
    const [near, far] = simulated([1], [0.001, 0.01]).points;
    expect((far?.secondsPerToken ?? 0) - (near?.secondsPerToken ?? 0)).toBeCloseTo(58 * 0.009, 6);
  });

  it("takes of passes that were not measured what lies between those that were", () => {
    expect([1, 2.5, 4, 10, 16, 32].map((tokens) => passCost(measured.passCosts, tokens))).toEqual([1, 1.5, 2, 3.5, 5, 10]);
  });
});
