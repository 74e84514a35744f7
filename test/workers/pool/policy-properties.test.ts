/** What holds of many plans and of any pool: shares by weight, no herds, every backend accounted for, and what a plan costs. */
import { describe, expect, it } from "vitest";
import type { PlacementWishes } from "../../../workers/contracts/pool.ts";
import type { RequestToPlace } from "../../../workers/pool/eligible.ts";
import { Health } from "../../../workers/pool/health.ts";
import { plan, type Plan } from "../../../workers/pool/policy.ts";
import type { Replica } from "../../../workers/pool/replica.ts";
import { seeded } from "../support/dice.ts";
import { description, planRequest, replica, snapshotOf } from "../support/pool.ts";

const healthy = () => new Health(() => 1_000);
const names = ({ candidates }: Plan) => candidates.map(({ replica: { name } }) => name);
const busyReplica = (name: string, running: number) => replica(name, { load: { running } });
const [a, b, c] = [replica("a"), replica("b"), replica("c")];

describe("shares", () => {
  const count = (pool: readonly Replica[], plans: number, wishes: (index: number) => Partial<PlacementWishes>) => {
    const dice = seeded(7);
    const counts = new Map<string, number>();
    for (let index = 0; index < plans; index++) {
      const [first = ""] = names(plan(planRequest(wishes(index)), snapshotOf(...pool), healthy(), () => dice.below(2 ** 30) / 2 ** 30));
      counts.set(first, (counts.get(first) ?? 0) + 1);
    }
    return (name: string) => (counts.get(name) ?? 0) / plans;
  };
  const canary = [a, b, c, replica("canary", { weight: 0.05 })];

  it.each<[what: string, wishes: (index: number) => Partial<PlacementWishes>]>([
    ["chance", () => ({})],
    ["homes", (index) => ({ affinity: `conversation ${index}` })],
  ])("go by weight where %s decides", (_what, wishes) => {
    const share = count(canary, 20_000, wishes);
    // 0.05 / 3.05 is 0.0164; of 20,000 draws the standard deviation is 0.0009.
    expect(Math.abs(share("canary") - 0.05 / 3.05)).toBeLessThan(0.004);
    for (const name of ["a", "b", "c"]) expect(Math.abs(share(name) - 1 / 3.05)).toBeLessThan(0.015);
  });

  it("of a canary stay what they are while the others are busy and it is not", () => {
    const share = count([...["a", "b", "c"].map((name) => busyReplica(name, 4)), replica("canary", { weight: 0.05 })], 20_000, () => ({}));
    expect(Math.abs(share("canary") - 0.05 / 3.05)).toBeLessThan(0.004);
  });

  it("of 2 to 1 are two thirds", () => {
    const share = count([replica("a", { weight: 2 }), b], 20_000, () => ({}));
    expect(Math.abs(share("a") - 2 / 3)).toBeLessThan(0.015);
  });
});

describe("a herd", () => {
  const pool = Array.from({ length: 20 }, (_unused, index) => replica(`r${index}`, { load: { running: index === 0 ? 0 : 3 } }));

  it("does not form at the least busy one while reports of load are stale: isolates that know nothing of one another spread", () => {
    const dice = seeded(11);
    const firsts = Array.from(
      { length: 200 },
      () => names(plan(planRequest(), snapshotOf(...pool), healthy(), () => dice.below(2 ** 30) / 2 ** 30))[0],
    );
    const atTheIdle = firsts.filter((name) => name === "r0").length;
    // Everyone who looks at it takes it, and one in ten does.
    expect(atTheIdle).toBeGreaterThan(5);
    expect(atTheIdle).toBeLessThan(45);
  });

  it("of one affinity gets more homes, and none of them is overloaded by what this isolate sent", () => {
    const dice = seeded(12);
    const health = healthy();
    const counts = new Map<string, number>();
    for (let index = 0; index < 40; index++) {
      const [first] = plan(planRequest({ affinity: "hot" }), snapshotOf(...pool), health, () => dice.below(2 ** 30) / 2 ** 30).candidates;
      if (first === undefined) throw new Error("no candidate");
      health.begin(first.replica, "hot");
      counts.set(first.replica.name, (counts.get(first.replica.name) ?? 0) + 1);
    }
    expect(counts.size).toBeGreaterThan(6);
    // A home takes more while half of its ten places are free.
    for (const one of pool) expect(one.load.running + (counts.get(one.name) ?? 0), one.name).toBeLessThanOrEqual(6);
  });

  it("of one affinity in many isolates gets as many homes as all of them need: each reckons with the others", () => {
    const dice = seeded(13);
    const counts = new Map<string, number>();
    // Twenty isolates, each of which has sent a tenth of what is on its way, and sends two of the affinity before it hears of the others'.
    for (let isolate = 0; isolate < 20; isolate++) {
      const health = healthy();
      for (const one of pool.slice(1, 4)) health.begin({ ...one, heardAt: 0 }, null);
      for (let index = 0; index < 3; index++) {
        const [first] = plan(planRequest({ affinity: "hot" }), snapshotOf(...pool), health, () => dice.below(2 ** 30) / 2 ** 30).candidates;
        if (first === undefined) throw new Error("no candidate");
        health.begin(first.replica, "hot");
        if (index > 0) counts.set(first.replica.name, (counts.get(first.replica.name) ?? 0) + 1);
      }
    }
    // Forty in all: an isolate that knew only of its own would send them all to the first home.
    expect(counts.size).toBeGreaterThanOrEqual(4);
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(20);
  });
});

describe("of any pool", () => {
  const places = [null, "AMS", "SIN"];

  function anyCase(seed: number) {
    const dice = seeded(seed);
    let now = 1_000;
    const health = new Health(() => now);
    const pool = Array.from({ length: dice.below(12) }, (_unused, index) =>
      replica(`r${index}`, {
        kind: dice.of(["vllm", "vllm", "openai", "engine"] as const),
        models: dice.of([[description], [description], [{ ...description, digest: "d2" }], [{ ...description, abilities: [] }], []]),
        place: dice.of(places),
        weight: dice.of([0, 0.05, 1, 1, 3]),
        draining: dice.below(5) === 0,
        load: {
          running: dice.below(11),
          waiting: dice.below(3) === 0 ? dice.below(4) : 0,
          mostRequests: dice.of([null, 10]),
          freeShare: dice.of([null, 0, 1]),
        },
      }),
    );
    for (const one of pool) {
      const attempts = Array.from({ length: dice.below(5) }, () => health.begin(one, dice.of([null, "x"])));
      for (const attempt of attempts) if (dice.below(2) === 0) attempt.end(dice.of(["success", "failure", "failure", "full", "neither"]));
    }
    now += dice.of([0, 2_000, -50_000]);
    const any = () => (pool.length === 0 ? "gone" : dice.of(pool).name);
    const wishes = {
      affinity: dice.of([null, "x", "y"]),
      stateAt: dice.of([null, any()]),
      avoid: dice.of([[], [any()], [any(), any()]]),
      place: dice.of(places),
    };
    const request = dice.of<Partial<RequestToPlace>>([{}, {}, { promptLogprobs: 1 }, { maxTokens: 991 }]);
    return { pool, wishes, found: plan(planRequest(wishes, request), snapshotOf(...pool), health, () => dice.below(2 ** 30) / 2 ** 30) };
  }

  it("each backend is a candidate once, or excluded once, or one of the others; all with reasons", () => {
    for (let seed = 0; seed < 2_000; seed++) {
      const { pool, wishes, found } = anyCase(seed);
      const excluded = found.excluded.map(({ name }) => name);
      const all = [...names(found), ...excluded];
      expect(new Set(all).size, `seed ${seed}`).toBe(all.length);
      expect(all.length + found.others, `seed ${seed}`).toBe(pool.length);
      for (const { reasons } of found.candidates) expect(reasons.length > 0 && reasons.every((reason) => reason.length > 0)).toBe(true);
      for (const { why } of found.excluded) expect(why.length).toBeGreaterThan(0);
      expect(found.shed === undefined, `seed ${seed}`).toBe(found.candidates.length > 0);
      for (const { replica: one } of found.candidates) {
        expect(one.draining, `seed ${seed}`).toBe(false);
        expect(one.weight, `seed ${seed}`).toBeGreaterThan(0);
        expect(one.models[0]?.digest, `seed ${seed}`).toBe("d1");
      }
      // Whoever is to be avoided comes after all who are not, and the engine after all replicas of its kind.
      const rank = (one: Replica) => 2 * Number(wishes.avoid.includes(one.name)) + Number(one.kind === "engine");
      const ranks = found.candidates.map(({ replica: one }) => rank(one));
      expect(ranks, `seed ${seed}`).toEqual(ranks.toSorted((left, right) => left - right));
    }
  });
});

describe("the cost of a plan", () => {
  /** Property reads of all replicas, and numbers drawn: what a plan does, counted. */
  function operations(replicas: number): { readonly reads: number; readonly draws: number } {
    let reads = 0;
    let draws = 0;
    const counted = (one: Replica) =>
      new Proxy(one, {
        get(target, property, receiver) {
          reads += 1;
          return Reflect.get(target, property, receiver) as unknown;
        },
      });
    const pool = Array.from({ length: replicas }, (_unused, index) => counted(replica(`r${index}`, { load: { running: index % 5 } })));
    const dice = seeded(5);
    const numbers = () => {
      draws += 1;
      return dice.below(2 ** 30) / 2 ** 30;
    };
    plan(planRequest({ affinity: "x", place: "AMS" }), snapshotOf(...pool), healthy(), numbers);
    return { reads, draws };
  }

  it("grows no faster than the pool, and chance is asked as often of a thousand replicas as of ten", () => {
    const [ten, thousand] = [operations(10), operations(1_000)];
    expect(thousand.reads / 1_000).toBeLessThanOrEqual(ten.reads / 10);
    expect(thousand.reads / 1_000).toBeLessThan(30);
    expect(thousand.draws).toBe(ten.draws);
  });
});
