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
const simulated = (streams: number, hopSeconds = 0.001, tokens = 4096) =>
  simulateFleet(sevenB, measured, { memoryBytes, load: { streams, tokens }, hopSeconds });

describe("the 7B over a fleet", () => {
  it("has as many weights as the released model, and a half of a layer alone fits in an isolate", () => {
    const whole = sizeOf(sevenB, 4096)({ embedding: [0, 152_064], sublayers: [0, 56], head: [0, 152_064] });
    expect((whole.weights * 8) / 4.5 / 1e9).toBeCloseTo(7.61, 1);
    const { isolates, hops } = simulated(1);
    expect(isolates).toBeGreaterThan((whole.weights - 1) / memoryBytes);
    // A layer's mixer and feed-forward together are larger than an isolate.
    expect(hops).toBe(56 + 2);
  });

  it("keeps a window's keys and values or matrices, layer by layer", () => {
    const state = (from: number, tokens: number): number =>
      sizeOf(sevenB, tokens)({ embedding: [0, 0], sublayers: [from, from + 1], head: [0, 0] }).state;
    expect([0, 1, 2, 3].map((half) => state(half, 100_000))).toEqual([262_144, 0, 4128 * 1056, 0]);
    expect(state(2, 512)).toBe(544 * 1056);
  });

  it("holds the states of all streams, or says that an isolate can't", () => {
    expect(simulated(16).isolates).toBeGreaterThanOrEqual(simulated(1).isolates);
    expect(() => simulated(64)).toThrow("the mixer of layer 1 takes");
    expect(simulated(64, 0.001, 512).tokensPerSecond).toBeGreaterThan(simulated(16).tokensPerSecond);
  });

  it("is faster and cheaper the more streams fill it, and slower the longer a hop takes", () => {
    const points = [1, 4, 16].map((streams) => simulated(streams));
    const rates = points.map(({ tokensPerSecond }) => tokensPerSecond);
    expect(rates.toSorted((a, b) => a - b)).toEqual(rates);
    const costs = points.map(({ dollarsPerMillionTokens }) => dollarsPerMillionTokens);
    expect(costs.toSorted((a, b) => b - a)).toEqual(costs);
    expect(simulated(1, 0.01).secondsPerToken - simulated(1, 0.001).secondsPerToken).toBeCloseTo(58 * 0.009, 6);
  });

  it("takes of passes that were not measured what lies between those that were", () => {
    expect([1, 2.5, 4, 10, 16, 32].map((tokens) => passCost(measured.passCosts, tokens))).toEqual([1, 1.5, 2, 3.5, 5, 10]);
  });
});
