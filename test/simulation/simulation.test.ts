/** The pool's policy on a recorded load is no worse than what is simpler: a small pool of what `npm run bench -- routing` measures. */
import { beforeAll, describe, expect, it } from "vitest";
import { seeded } from "../workers/support/dice.ts";
import { addedTokens, answerTokens, drawQuantile, promptTokens } from "./distributions.ts";
import type { Figures } from "./figures.ts";
import { load } from "./load.ts";
import { routers, type RouterName } from "./routers.ts";
import { loadFor, simulate } from "./simulation.ts";

const options = { ...loadFor(60), isolates: 6, seed: 3, sessions: 9_000 };
const run = (name: RouterName): Figures => simulate({ ...options, router: routers[name] });

describe("a pool of 60 replicas under a recorded load", () => {
  let figures: Record<RouterName, Figures>;

  beforeAll(() => {
    figures = {
      "the pool's policy": run("the pool's policy"),
      "round robin": run("round robin"),
      "least load": run("least load"),
      "consistent hashing": run("consistent hashing"),
    };
  });

  it("finds states where they are nearly as often as hashing alone, and far more often than what goes by load", () => {
    const { "the pool's policy": policy, "round robin": robin, "least load": least, "consistent hashing": hashing } = figures;
    expect(policy.hitRate).toBeGreaterThan(0.75 * hashing.hitRate);
    expect(policy.hitRate).toBeGreaterThan(2 * least.hitRate);
    expect(policy.hitRate).toBeGreaterThan(2 * robin.hitRate);
  });

  it.each<RouterName>(["round robin", "least load", "consistent hashing"])("lets nobody wait longer than %s does", (name) => {
    const { "the pool's policy": policy, [name]: other } = figures;
    expect(policy.queueMilliseconds.p99).toBeLessThanOrEqual(other.queueMilliseconds.p99);
    expect(policy.firstTokenMilliseconds.p99).toBeLessThan(other.firstTokenMilliseconds.p99);
    expect(policy.firstTokenMilliseconds.p50).toBeLessThan(other.firstTokenMilliseconds.p50);
    expect(policy.refusals).toBeLessThanOrEqual(other.refusals);
    expect(policy.afterLoss.queueP99Milliseconds).toBeLessThanOrEqual(other.afterLoss.queueP99Milliseconds);
  });

  it("is about as even as what looks at nothing else", () => {
    const { "the pool's policy": policy, "round robin": robin, "least load": least, "consistent hashing": hashing } = figures;
    expect(policy.imbalance).toBeLessThan(1.25 * least.imbalance);
    expect(policy.imbalance).toBeLessThan(robin.imbalance);
    expect(policy.imbalance).toBeLessThan(hashing.imbalance);
  });

  it("is the same again with the same seed", () => {
    expect(run("the pool's policy")).toEqual(figures["the pool's policy"]);
  });
});

describe("the load", () => {
  it("is the same with the same seed, and another with another", () => {
    const first = (seed: number) => [...load({ seed, sessions: 50, perSecond: 1 })];
    expect(first(1)).toEqual(first(1));
    expect(first(1)).not.toEqual(first(2));
  });

  it("has the recordings' lengths, and as many sessions a second as it should", () => {
    const dice = seeded(9);
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const drawn = (quantiles: typeof promptTokens) => mean(Array.from({ length: 20_000 }, () => drawQuantile(quantiles, dice)));
    // The recording's means are 1,155 and 211.
    expect(Math.abs(drawn(promptTokens) - 1_155)).toBeLessThan(100);
    expect(Math.abs(drawn(answerTokens) - 211)).toBeLessThan(15);
    expect(drawn(addedTokens)).toBeGreaterThan(500);
    const sessions = [...load({ seed: 1, sessions: 20_000, perSecond: 10 })];
    expect(Math.abs((sessions.at(-1)?.at ?? 0) - 2_000_000)).toBeLessThan(60_000);
    // The recording has 1.63 turns a conversation.
    expect(Math.abs(mean(sessions.filter(({ sharedTokens }) => sharedTokens === 0).map(({ turns }) => turns.length)) - 1.6)).toBeLessThan(
      0.1,
    );
  });
});
