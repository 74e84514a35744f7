/** The rules by which a request gets its place, as a table of pools; `policy-properties.test.ts` has what holds of any pool. */
import { describe, expect, it } from "vitest";
import { greedySampling } from "../../../workers/contracts/engine.ts";
import type { PlacementWishes } from "../../../workers/contracts/pool.ts";
import type { RequestToPlace } from "../../../workers/pool/eligible.ts";
import { Health } from "../../../workers/pool/health.ts";
import { plan, type Plan } from "../../../workers/pool/policy.ts";
import { homesOf } from "../../../workers/pool/rendezvous.ts";
import type { Replica } from "../../../workers/pool/replica.ts";
import { description, engine, planRequest, replica, snapshotOf, version } from "../support/pool.ts";

const random = () => 0;
const healthy = () => new Health(() => 1_000);
const names = ({ candidates }: Plan) => candidates.map(({ replica: { name } }) => name);
const busyReplica = (name: string, running: number, part: Partial<Replica> = {}) => replica(name, { ...part, load: { running } });

/** A backend whose breaker has opened. */
function failing(health: Health, ...replicas: readonly Replica[]): Health {
  for (const one of replicas) for (let time = 0; time < 3; time++) health.begin(one, null).end("failure");
  return health;
}

const [a, b, c] = [replica("a"), replica("b"), replica("c")];
const home = homesOf("conversation", [a, b, c], 1)[0] ?? a;
const others = [a, b, c].filter((one) => one !== home);
const busyHome = (running: number) => [...others, busyReplica(home.name, running)];

/** With more requests than the ten that it computes at a time. */
const queued = (name: string, requests: number) =>
  replica(name, { load: { running: 10, waiting: requests - 10, mostRequests: 40, mostRunning: 10 } });

describe("the first candidate", () => {
  it.each<[rule: string, pool: Replica[], wishes: Partial<PlacementWishes>, first: string | undefined, reason: string]>([
    ["of one replica, that", [a], {}, "a", "the only one left to choose"],
    ["of two, the less busy", [busyReplica("a", 3), busyReplica("b", 2)], {}, "b", "of two at random not busier than the other, 'a'"],
    [
      "as a share of what each computes at a time",
      [busyReplica("a", 3), replica("b", { load: { running: 5, mostRequests: 400, mostRunning: 100 } })],
      {},
      "b",
      "busy 0.05",
    ],
    [
      "one that does not say is taken to compute sixteen",
      [busyReplica("a", 3), replica("b", { load: { running: 4, mostRequests: null } })],
      {},
      "b",
      "busy 0.25",
    ],
    ["where the state is", [a, b, c], { stateAt: "c", affinity: "conversation" }, "c", "holds the conversation's state"],
    [
      "the state's place counts while it has places to spare",
      [a, b, busyReplica("c", 8)],
      { stateAt: "c" },
      "c",
      "holds the conversation's state",
    ],
    ["and not beyond: never an overloaded one", [busyReplica("a", 1), busyReplica("c", 9)], { stateAt: "c" }, "a", "busy 0.10"],
    [
      "unless requests wait at all, and at it no more",
      [queued("a", 20), queued("c", 21)],
      { stateAt: "c" },
      "c",
      "holds the conversation's state",
    ],
    ["where they wait at it more, it is overloaded too", [queued("a", 16), queued("c", 24)], { stateAt: "c" }, "a", "busy 1.60"],
    ["nor one where requests wait", [busyReplica("a", 1), replica("c", { load: { waiting: 1 } })], { stateAt: "c" }, "a", "busy 0.10"],
    [
      "nor one whose memory is full",
      [busyReplica("a", 1), replica("c", { load: { freeShare: 0.04 } })],
      { stateAt: "c" },
      "a",
      "busy 0.10",
    ],
    ["a state at a replica that is gone counts nothing", [a], { stateAt: "c" }, "a", "the only one left to choose"],
    ["the conversation's home", [a, b, c], { affinity: "conversation" }, home.name, "home of the conversation"],
    ["and not where that is overloaded", busyHome(6), { affinity: "conversation" }, others[0]?.name, "busy 0.00"],
    ["nor where it is full", busyHome(10), { affinity: "conversation" }, others[0]?.name, "busy 0.00"],
    ["in the same place", [a, replica("b", { place: "AMS" }), c], { place: "AMS" }, "b", "in the same place"],
    ["though it be busier", [a, busyReplica("b", 4, { place: "AMS" })], { place: "AMS" }, "b", "in the same place"],
    ["and not where it is overloaded", [a, busyReplica("b", 9, { place: "AMS" })], { place: "AMS" }, "a", "busy 0.00"],
    [
      "a home in the same place before any other",
      [a, replica("b", { place: "AMS" }), c],
      { place: "AMS", affinity: "x" },
      "b",
      "home of the conversation",
    ],
    [
      "the state before the place",
      [replica("a", { place: "AMS" }), b],
      { place: "AMS", stateAt: "b" },
      "b",
      "holds the conversation's state",
    ],
    ["a replica before the engine", [engine(), busyReplica("a", 9)], {}, "a", "the only one left to choose"],
    ["also where the engine has the state: new turns return", [engine(), a], { stateAt: "engine" }, "a", "the only one left to choose"],
    ["the engine where no replica is there", [engine()], {}, "engine", "no replica can take it"],
    ["the engine where all replicas are full", [engine(), busyReplica("a", 10)], {}, "engine", "no replica can take it"],
    ["the engine where all drain", [engine(), replica("a", { draining: true })], {}, "engine", "no replica can take it"],
    ["nowhere this answer has failed", [a, b], { avoid: ["a"] }, "b", "the only one left to choose"],
    ["were it its home and its state's place", [a, b], { avoid: ["a"], stateAt: "a", affinity: "x" }, "b", "home of the conversation"],
    ["the engine rather than where it has failed", [a, engine()], { avoid: ["a"] }, "engine", "no replica can take it"],
    [
      "and where it has failed as a last resort",
      [a, engine()],
      { avoid: ["engine", "a"] },
      "a",
      "last resort: this answer has failed there",
    ],
    ["none of an empty pool", [], {}, undefined, ""],
  ])("%s", (_rule, pool, wishes, first, reason) => {
    const found = plan(planRequest(wishes), snapshotOf(...pool), healthy(), random);
    expect(names(found)[0]).toBe(first);
    if (first !== undefined) expect(found.candidates[0]?.reasons).toContain(reason);
  });

  it("is where this isolate's last request of the conversation ended well, though its home be another", () => {
    const health = healthy();
    const [elsewhere = a] = others;
    health.begin(elsewhere, "conversation").end("success");
    const look = () => plan(planRequest({ affinity: "conversation" }), snapshotOf(a, b, c), health, random).candidates[0];
    expect(look()?.replica.name).toBe(elsewhere.name);
    expect(look()?.reasons).toContain("holds the conversation's state");
    // While others of it are on their way it is no conversation, but what many requests begin with.
    health.begin(elsewhere, "conversation");
    expect(look()?.reasons).not.toContain("holds the conversation's state");
  });

  it("is followed by all that could take its place, the engine and where it failed last", () => {
    const pool = [engine(), a, b, c];
    expect(names(plan(planRequest({ avoid: ["a"], stateAt: "c" }), snapshotOf(...pool), healthy(), random))).toEqual([
      "c",
      "b",
      "engine",
      "a",
    ]);
  });

  it("is followed by at most three replicas and the engine in a large pool, and the plan tells how many there are", () => {
    const pool = [engine(), ...Array.from({ length: 50 }, (_unused, index) => replica(`r${index}`))];
    const found = plan(planRequest({ avoid: ["r0"] }), snapshotOf(...pool), healthy(), random);
    expect(found.candidates).toHaveLength(5);
    expect(names(found)).not.toContain("r0");
    expect(names(found)[4]).toBe("engine");
    expect(found.others).toBe(46);
  });
});

describe("exclusions", () => {
  const withModel = (part: Partial<typeof description>) => replica("a", { models: [{ ...description, ...part }] });
  it.each<[kind: string, why: string, one: Replica, request: Partial<RequestToPlace>]>([
    ["model", "does not have the model", withModel({ id: "other" }), {}],
    ["version", "has the model with other weights or another tokenizer", withModel({ digest: "d2" }), {}],
    ["version", "has the model with other weights or another tokenizer", withModel({ tokenizerDigest: "t2" }), {}],
    ["field", "it lacks the ability 'states'", withModel({ abilities: [] }), { save: { at: [], end: true, fromPage: 0 } }],
    ["field", "it lacks the ability 'prompt_logprobs'", withModel({ abilities: ["states"] }), { promptLogprobs: 1 }],
    ["field", "it lacks the ability 'long_seeds'", withModel({ abilities: [] }), { sampling: { ...greedySampling, seed: "4294967296" } }],
    ["field", "it counts no spikes", a, { countSpikes: true }],
    ["field", "it cannot tell of its state", a, { reportState: true }],
    ["context", "it takes 1000 tokens, and 1001 are asked for", a, { maxTokens: 991 }],
    ["weight", "its weight is 0", replica("a", { weight: 0 }), {}],
    ["draining", "it is draining", replica("a", { draining: true }), {}],
    ["full", "it has 10 of at most 10 requests", busyReplica("a", 10), {}],
    ["full", "it has 10 of at most 10 requests", replica("a", { load: { running: 4, waiting: 6 } }), {}],
  ])("%s: %s", (kind, why, one, request) => {
    const found = plan(planRequest({ stateAt: "a", affinity: "x" }, request), snapshotOf(one), healthy(), random);
    expect(found.candidates).toEqual([]);
    expect(found.excluded).toEqual([expect.objectContaining({ name: "a", kind, why })]);
    expect(found.waitingHelps).toBe(kind === "full");
  });

  it("a resumed state's tokens count into the context only where the state grows", () => {
    const resume = {
      tokens: 985,
      state: { open: () => Promise.reject(new Error("not opened")), tokens: () => Promise.reject(new Error("not asked")) },
      seen: new Uint32Array(),
    };
    const constant = { bytes: 1, constant: true, keysAndValues: "f32", fullAttentionBytesPerToken: 1 } as const;
    const growing = { ...constant, constant: false };
    const pool = snapshotOf(
      replica("a", { models: [{ ...description, state: growing }] }),
      replica("b", { models: [{ ...description, state: constant }] }),
    );
    const found = plan(planRequest({}, { resume }), pool, healthy(), random);
    expect(names(found)).toEqual(["b"]);
    expect(found.excluded).toEqual([{ name: "a", kind: "context", why: "it takes 1000 tokens, and 1005 are asked for" }]);
  });

  it("an open breaker, then one trial, then none beside it", () => {
    let now = 1_000;
    const health = failing(new Health(() => now), a);
    const look = () => plan(planRequest(), snapshotOf(a), health, random);
    expect(look().excluded).toEqual([{ name: "a", kind: "breaker", why: "it failed lately" }]);
    now += 2_000;
    expect(look().candidates[0]?.reasons).toContain("first request after it failed");
    const trial = health.begin(a, null);
    expect(look().excluded).toEqual([{ name: "a", kind: "breaker", why: "it failed lately, and another request tries it" }]);
    trial.worked();
    expect(names(look())).toEqual(["a"]);
  });

  it("one that refused for want of room gets no more until it is heard of again", () => {
    const health = healthy();
    health.begin(a, null).end("full");
    expect(plan(planRequest(), snapshotOf(a), health, random).excluded[0]?.kind).toBe("full");
    expect(names(plan(planRequest(), snapshotOf(replica("a", { heardAt: 2_000 })), health, random))).toEqual(["a"]);
  });
});

describe("what a client is told where nobody can take it", () => {
  const full = busyReplica("a", 10);
  const drains = replica("a", { draining: true });
  const save = { at: [], end: true, fromPage: 0 };
  const without = replica("a", { models: [{ ...description, abilities: [] }] });
  it.each<
    [
      code: string,
      status: number,
      seconds: number | undefined,
      param: string | undefined,
      pool: Replica[],
      request: Partial<RequestToPlace>,
    ]
  >([
    ["engine_unavailable", 503, 5, undefined, [], {}],
    ["engine_unavailable", 503, 5, undefined, [a], { model: { ...version, id: "other" } }],
    ["model_not_found", 404, undefined, "model", [a], { model: { ...version, digest: "d2" } }],
    ["overloaded", 503, 2, undefined, [full, drains], {}],
    ["engine_unavailable", 503, 5, undefined, [drains], {}],
    ["context_length_exceeded", 400, undefined, "prompt", [a], { maxTokens: 1_000 }],
    ["unsupported_field", 400, undefined, "save", [without], { save }],
    ["engine_unavailable", 503, 5, undefined, [without, drains], { save }],
  ])("%s %d, again in %s s, at fault %s", (code, status, seconds, param, pool, request) => {
    const { shed } = plan(planRequest({}, request), snapshotOf(...pool), healthy(), random);
    expect(shed).toMatchObject({ code, status, retryable: status === 503 });
    expect(shed?.retryAfterSeconds).toBe(seconds);
    expect(shed?.param).toBe(param);
  });

  it("in how many seconds a backend that failed is tried again", () => {
    let now = 1_000;
    const health = failing(new Health(() => now), a);
    now += 400;
    expect(plan(planRequest(), snapshotOf(a), health, random).shed).toMatchObject({
      code: "engine_unavailable",
      status: 503,
      retryAfterSeconds: 2,
    });
    now += 1_000;
    expect(plan(planRequest(), snapshotOf(a), health, random).shed?.retryAfterSeconds).toBe(1);
  });
});
