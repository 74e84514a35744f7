import { describe, expect, it } from "vitest";
import { RetryBudget } from "../../../workers/pool/retry-budget.ts";

const options = { share: 0.2, perSecond: 1, most: 3 };

function withClock() {
  const clock = { now: 1_000_000 };
  const budget = new RetryBudget(() => clock.now, options);
  const taken = (tries: number) => Array.from({ length: tries }, () => budget.take()).filter((may) => may).length;
  return { clock, budget, taken };
}

describe("a retry budget", () => {
  it("begins with what it may save up", () => {
    expect(withClock().taken(10)).toBe(3);
  });

  it("gives a share of the requests, however many are tried again", () => {
    const { budget, taken } = withClock();
    taken(3);
    let retries = 0;
    for (let request = 0; request < 1_000; request++) {
      budget.request();
      retries += taken(3);
    }
    expect(retries).toBe(200);
  });

  it("gives a few a second where there are no requests, and saves no more than its most", () => {
    const { clock, taken } = withClock();
    taken(3);
    clock.now += 2_000;
    expect(taken(10)).toBe(2);
    clock.now += 3_600_000;
    expect(taken(10)).toBe(3);
  });

  it("is not emptied by a clock that is set back", () => {
    const { clock, taken } = withClock();
    taken(3);
    clock.now -= 3_600_000;
    expect(taken(1)).toBe(0);
    clock.now += 1_000;
    expect(taken(10)).toBe(1);
  });
});
