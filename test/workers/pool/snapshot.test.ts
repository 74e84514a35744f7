/** The isolate's copy of the registry: how old it may be, what it costs, and what is left of it when the registry is lost or slow. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ModelDescription } from "../../../workers/contracts/engine.ts";
import type { PoolSnapshot, Replica } from "../../../workers/pool/replica.ts";
import { SnapshotCopy, type Sources } from "../../../workers/pool/snapshot.ts";
import { spyOnLog } from "../support/log-spy.ts";

const model: ModelDescription = {
  ...{ id: "m", digest: "a".repeat(64), tokenizerDigest: "t".repeat(64), architecture: "a", parameters: 7, vocabularySize: 9 },
  ...{ contextLength: 100, abilities: [], kernel: "k" },
};
const load = { running: 0, waiting: 0, mostRequests: null, freeShare: null, loaded: true };
const replica = (name: string): Replica => ({
  ...{ name, node: "n", kind: "vllm", address: "https://a", models: [model], place: null, weight: 1, draining: false, load, heardAt: 0 },
});
const never = () => new Promise<never>(() => undefined);
const lost = () => Promise.reject(new Error("the object was moved"));
const begin = 1_800_000_000_000;
const refresh = 1_000;

let now = begin;
let registered = ["one"];
let beside: Promise<unknown>[] = [];
let asked = 0;

const engine = {
  models: () => Promise.resolve({ ok: true as const, value: [model] }),
  load: () => Promise.resolve({ loaded: true, running: 1, waiting: 0, freeStateBytes: 0, generatedTokens: 0 }),
};
const registry = (): Promise<PoolSnapshot> => {
  asked += 1;
  return Promise.resolve({ takenAt: now, replicas: registered.map(replica) });
};
const sources = (changes: Partial<Sources> = {}): Sources => ({ registry, engine, listed: () => [replica("listed")], ...changes });
const suffices = ({ replicas }: PoolSnapshot) => replicas.length > 0;
const options = { refresh, suffices, waitUntil: (work: Promise<unknown>) => void beside.push(work) };
const names = ({ replicas }: PoolSnapshot) => replicas.map(({ name }) => name);

beforeEach(() => {
  [now, registered, beside, asked] = [begin, ["one"], [], 0];
  vi.spyOn(Date, "now").mockImplementation(() => now);
  spyOnLog();
});
afterEach(() => {
  vi.restoreAllMocks();
});

const settled = async () => {
  await Promise.all(beside);
  beside = [];
};

describe("a copy", () => {
  test("lets go of what the engine has answered, as a caller over RPC must", async () => {
    const released: string[] = [];
    const held = <T extends object>(name: string, result: T): Promise<T> =>
      Promise.resolve(Object.assign(result, { [Symbol.dispose]: () => void released.push(name) }));
    const answering = {
      models: () => held("models", { ok: true as const, value: [model] }),
      load: async () => held("load", await engine.load()),
    };
    await new SnapshotCopy().current(sources({ engine: answering }), options);
    await settled();
    expect(released).toEqual(["models", "load"]);
  });

  test("holds what has registered, the static list, and the engine", async () => {
    const copy = new SnapshotCopy();
    await copy.current(sources(), options);
    await settled();
    expect(names(copy.snapshot)).toEqual(["one", "listed", "engine"]);
    expect(copy.snapshot.replicas.at(-1)).toMatchObject({
      kind: "engine",
      models: [model],
      load: { running: 1, loaded: true },
      heardAt: now,
    });
  });

  test("answers a thousand requests within its time, for one question to the registry", async () => {
    const copy = new SnapshotCopy();
    for (let request = 0; request < 1_000; request++) {
      await copy.current(sources(), options);
      await settled();
    }
    expect(asked).toBe(1);
  });

  test("is renewed beside the request that finds it old enough, which does not wait", async () => {
    const copy = new SnapshotCopy();
    await copy.current(sources(), options);
    await settled();
    [now, registered] = [begin + 1.5 * refresh, ["two"]];
    const slow = Promise.withResolvers<PoolSnapshot>();
    expect(names(await copy.current(sources({ registry: () => slow.promise }), options))).toContain("one");
    // Others neither wait nor ask again.
    expect(names(await copy.current(sources({ registry: lost }), options))).toContain("one");
    slow.resolve({ takenAt: now, replicas: [replica("two")] });
    await settled();
    expect(names(copy.snapshot)).toEqual(["two", "listed", "engine"]);
  });

  test.each([2 * refresh, 3_600_000, -3_600_000])(
    "that is %i ms old, as after a pause or a jump of the clock, is renewed first",
    async (age) => {
      const copy = new SnapshotCopy();
      await copy.current(sources(), options);
      await settled();
      [now, registered] = [begin + age, ["two"]];
      expect(names(await copy.current(sources(), options))).toEqual(["two", "listed", "engine"]);
    },
  );
});

describe("a registry that is", () => {
  test.each([
    ["lost", lost],
    ["slow", never],
  ])("%s from the beginning leaves the static list and the engine", async (_name, away) => {
    const copy = new SnapshotCopy();
    const all = { ...options, suffices: ({ replicas }: PoolSnapshot) => replicas.some(({ kind }) => kind === "engine") };
    expect(names(await copy.current(sources({ registry: away }), all)).toSorted()).toEqual(expect.arrayContaining(["engine"]));
    now += 10 * refresh;
    expect(names(await copy.current(sources({ registry: away }), all))).toEqual(["listed", "engine"]);
  });

  test.each([
    ["lost", lost],
    ["slow", never],
  ])("%s later leaves the last copy, and comes back by itself", async (_name, away) => {
    const copy = new SnapshotCopy();
    await copy.current(sources(), options);
    await settled();
    now += 10 * refresh;
    expect(names(await copy.current(sources({ registry: away }), options))).toEqual(["one", "listed", "engine"]);
    [now, registered] = [now + 10 * refresh, ["two"]];
    await copy.current(sources(), options);
    expect(names(copy.snapshot)).toEqual(["two", "listed", "engine"]);
  });
});

test("a registry that is slow is waited for once, and asked again only after a while", async () => {
  const copy = new SnapshotCopy();
  let questions = 0;
  const slow = sources({
    registry: () => {
      questions += 1;
      return never();
    },
  });
  await copy.current(slow, options);
  // Not even a timer runs: these would wait for ever if they waited for one.
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  try {
    for (let request = 0; request < 100; request++) expect(names(await copy.current(slow, options))).toContain("listed");
  } finally {
    vi.useRealTimers();
  }
  expect(questions).toBe(1);
  now += 6_000;
  await copy.current(slow, options);
  expect(questions).toBe(2);
});

describe("an engine that is", () => {
  test("still loading keeps nobody waiting whom a replica can serve", async () => {
    const loading = { ...engine, models: never };
    expect(names(await new SnapshotCopy().current(sources({ engine: loading }), options))).toEqual(["one", "listed"]);
  });

  test("away is told with its own failure, where nothing else is known", async () => {
    const failure = { code: "model_invalid", status: 500, message: "the model's files are not valid", retryable: false } as const;
    const copy = new SnapshotCopy();
    const broken = { ...engine, models: () => Promise.resolve({ ok: false as const, failure }) };
    await copy.current(sources({ engine: broken, registry: lost, listed: () => [] }), options);
    expect([copy.snapshot.replicas, copy.engineFailure]).toEqual([[], failure]);
  });
});
