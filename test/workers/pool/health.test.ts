/** What an isolate remembers of backends: outcomes, requests on their way, and a clock that may jump. */
import { describe, expect, it } from "vitest";
import type { FailureCode } from "../../../workers/contracts/errors.ts";
import { Health, outcomeOf, type AttemptOutcome } from "../../../workers/pool/health.ts";
import { replica } from "../support/pool.ts";

const hour = 3_600_000;
const a = replica("a");

function withClock() {
  const clock = { now: 1_000_000 };
  const health = new Health(() => clock.now);
  const end = (...outcomes: readonly AttemptOutcome[]) => {
    for (const outcome of outcomes) health.begin(a, null).end(outcome);
  };
  return { clock, health, end };
}

describe("the breaker", () => {
  it.each<[rule: string, outcomes: AttemptOutcome[], state: string]>([
    ["nothing has happened", [], "closed"],
    ["two failures are not enough", ["failure", "failure"], "closed"],
    ["three open it", ["failure", "failure", "failure"], "open"],
    ["as many successes beside them do not keep it closed", ["failure", "success", "success", "failure", "success", "failure"], "open"],
    ["more successes do", ["failure", "success", "success", "failure", "success", "success", "failure"], "closed"],
    ["clients that go away say nothing", ["neither", "neither", "neither", "neither"], "closed"],
    ["nor do they count as successes", ["failure", "neither", "neither", "neither", "failure", "neither", "failure"], "open"],
    ["want of room is no failure", ["full", "full", "full", "full"], "closed"],
  ])("%s", (_rule, outcomes, state) => {
    const { health, end } = withClock();
    end(...outcomes);
    expect(health.breaker("a")).toBe(state);
    expect(health.breaker("b")).toBe("closed");
  });

  it("counts failures of one window only", () => {
    const { clock, health, end } = withClock();
    end("failure", "failure");
    clock.now += 30_000;
    end("failure");
    expect(health.breaker("a")).toBe("closed");
    end("failure", "failure");
    expect(health.breaker("a")).toBe("open");
  });

  it("lets one request try, which closes it with its first token", () => {
    const { clock, health, end } = withClock();
    end("failure", "failure", "failure");
    expect(health.opensIn("a")).toBe(2_000);
    clock.now += 1_999;
    expect(health.breaker("a")).toBe("open");
    clock.now += 1;
    expect(health.breaker("a")).toBe("trial");
    const trial = health.begin(a, null);
    expect(health.breaker("a")).toBe("tried");
    trial.worked();
    expect(health.breaker("a")).toBe("closed");
    // What fails later counts as any failure does.
    trial.end("failure");
    expect(health.breaker("a")).toBe("closed");
    end("failure", "failure");
    expect(health.breaker("a")).toBe("open");
  });

  it("opens for twice as long after each trial that fails, up to a minute", () => {
    const { clock, health, end } = withClock();
    end("failure", "failure", "failure");
    const times: number[] = [];
    for (let trial = 0; trial < 7; trial++) {
      times.push(health.opensIn("a"));
      clock.now += health.opensIn("a");
      end("failure");
    }
    expect(times).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  });

  it.each<AttemptOutcome>(["neither", "full"])("lets another try where the trial ends with '%s'", (outcome) => {
    const { clock, health, end } = withClock();
    end("failure", "failure", "failure");
    clock.now += 2_000;
    health.begin(a, null).end(outcome);
    expect(health.breaker("a")).toBe("trial");
  });

  it("lets another try where nothing is heard of the trial, whose outcome then counts no more", () => {
    const { clock, health, end } = withClock();
    end("failure", "failure", "failure");
    clock.now += 2_000;
    const lost = health.begin(a, null);
    clock.now += 60_000;
    expect(health.breaker("a")).toBe("trial");
    const next = health.begin(a, null);
    lost.end("failure");
    expect(health.breaker("a")).toBe("tried");
    next.end("success");
    expect(health.breaker("a")).toBe("closed");
  });

  it("is not closed by a request that began before it opened", () => {
    const { health, end } = withClock();
    const early = health.begin(a, null);
    end("failure", "failure", "failure");
    early.worked();
    early.end("success");
    expect(health.breaker("a")).toBe("open");
  });

  it("takes each attempt's outcome once", () => {
    const { health } = withClock();
    const attempt = health.begin(a, null);
    for (let time = 0; time < 5; time++) attempt.end("failure");
    expect(health.breaker("a")).toBe("closed");
    expect(health.requestsAt(a)).toBe(0);
  });
});

describe("a clock that jumps", () => {
  it("back an hour keeps nobody out for that hour", () => {
    const { clock, health, end } = withClock();
    end("failure", "failure", "failure");
    clock.now -= hour;
    expect(health.opensIn("a")).toBe(2_000);
    clock.now += 2_000;
    expect(health.breaker("a")).toBe("trial");
  });

  it("back and forth adds up to no more than what has passed forwards", () => {
    const { clock, health, end } = withClock();
    end("failure", "failure", "failure");
    for (let time = 0; time < 10; time++) {
      clock.now -= 100;
      expect(health.breaker("a")).toBe("open");
      clock.now += 100;
      expect(health.breaker("a")).toBe("open");
    }
    expect(health.opensIn("a")).toBe(1_000);
  });

  it("far forwards lets it be tried, and forgets failures", () => {
    const { clock, health, end } = withClock();
    end("failure", "failure");
    clock.now += 1_000 * hour;
    end("failure");
    expect(health.breaker("a")).toBe("closed");
    end("failure", "failure");
    clock.now += 1_000 * hour;
    expect(health.breaker("a")).toBe("trial");
  });

  it("loses no request on its way and invents none", () => {
    const { clock, health } = withClock();
    const attempts = [1, 2, 3].map(() => health.begin(a, null));
    for (const jump of [-hour, 5 * hour, -hour]) {
      clock.now += jump;
      expect(health.requestsAt(a)).toBe(3);
    }
    for (const attempt of attempts) attempt.end("success");
    expect(health.requestsAt(a)).toBe(0);
    expect(health.requestsAt(replica("a", { heardAt: clock.now - hour, load: { running: 2 } }))).toBe(2);
  });
});

describe("requests at a replica", () => {
  const heard = (heardAt: number, running: number) => replica("a", { heardAt, load: { running } });

  it("are those reported and those begun since", () => {
    const { clock, health } = withClock();
    const old = health.begin(heard(clock.now - 10, 4), null);
    expect(health.requestsAt(heard(clock.now - 10, 4))).toBe(5);
    clock.now += 1_000;
    // Heard of again: the report has it.
    expect(health.requestsAt(heard(clock.now - 500, 5))).toBe(5);
    health.begin(heard(clock.now - 500, 5), null);
    expect(health.requestsAt(heard(clock.now - 500, 5))).toBe(6);
    // One that the report has ends; one that it has not ends.
    old.end("success");
    expect(health.requestsAt(heard(clock.now - 500, 5))).toBe(5);
    health.begin(heard(clock.now - 500, 5), null).end("success");
    expect(health.requestsAt(heard(clock.now - 500, 5))).toBe(5);
    clock.now += 1_000;
    expect(health.requestsAt(heard(clock.now, 5))).toBe(5);
  });

  it("are at least one's own where it reports none", () => {
    const { clock, health } = withClock();
    for (let time = 0; time < 3; time++) health.begin(heard(clock.now, 0), null);
    expect(health.requestsAt(heard(clock.now + 2_000, 0))).toBe(3);
  });

  it("are told by affinity too", () => {
    const { health } = withClock();
    const [first, second] = [health.begin(a, "x"), health.begin(replica("b"), "x")];
    health.begin(a, null);
    expect(health.inFlightOf("x")).toBe(2);
    first.end("neither");
    second.end("failure");
    expect(health.inFlightOf("x")).toBe(0);
  });

  it("remember where the last one of an affinity ended well, of as many affinities as there is room for", () => {
    const { health } = withClock();
    health.begin(a, "x").end("success");
    health.begin(replica("b"), "x").end("failure");
    health.begin(replica("b"), "x").end("neither");
    expect(health.lastOf("x")).toBe("a");
    health.begin(replica("b"), "x").end("success");
    expect(health.lastOf("x")).toBe("b");
    for (let index = 0; index < 20_000; index++) health.begin(a, `other ${index}`).end("success");
    expect(health.lastOf("x")).toBeUndefined();
    expect(health.lastOf("other 19999")).toBe("a");
  });

  it("and nothing is remembered of thousands of names that have come and gone", () => {
    const { health } = withClock();
    const names = Array.from({ length: 10_000 }, (_unused, index) => `r${index}`);
    for (const name of names.slice(0, 3)) for (let time = 0; time < 3; time++) health.begin(replica(name), null).end("failure");
    for (const name of names) health.begin(replica(name), null).end("full");
    expect(names.slice(0, 3).map((name) => health.breaker(name))).toEqual(["open", "open", "open"]);
    expect(names.filter((name) => health.isFull(replica(name))).length).toBeLessThanOrEqual(4096);
  });
});

describe("a failure", () => {
  it.each<[code: FailureCode, status: number, outcome: AttemptOutcome]>([
    ["engine_unavailable", 503, "failure"],
    ["internal_error", 500, "failure"],
    ["model_invalid", 500, "failure"],
    ["overloaded", 503, "full"],
    ["overloaded", 429, "full"],
    ["cancelled", 499, "neither"],
    ["invalid_request", 400, "neither"],
    ["context_length_exceeded", 400, "neither"],
    ["model_not_found", 404, "neither"],
    ["state_rejected", 503, "neither"],
    ["state_lost", 503, "neither"],
  ])("'%s' of status %d counts as '%s'", (code, status, outcome) => {
    expect(outcomeOf({ code, status })).toBe(outcome);
  });
});
