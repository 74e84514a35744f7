/** Replicas come, are heard of, drain, go, expire, and belong to who registered them. */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { body, model, Registry, signed } from "./support.ts";

const second = 1_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const later = (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds);

test("a replica is in the snapshot as it said, until it is gone", async () => {
  const registry = new Registry();
  expect(await registry.replicas()).toEqual([]);
  expect(await registry.tell()).toEqual({ heartbeatSeconds: 5, expirySeconds: 20, status: "taken" });
  const {
    tokenizer_digest: tokenizerDigest,
    vocabulary_size: vocabularySize,
    context_length: contextLength,
    state: _s,
    spikes: _p,
    ...same
  } = model;
  expect(await registry.replicas()).toEqual([
    {
      name: "seven-1",
      node: "one",
      kind: "vllm",
      address: body.address,
      models: [{ ...same, tokenizerDigest, vocabularySize, contextLength }],
      place: "AMS",
      weight: 1,
      draining: false,
      load: { running: 2, waiting: 0, mostRequests: 32, mostRunning: 8, freeShare: 0.75, loaded: true },
      heardAt: Date.now(),
    },
  ]);
  later(5 * second);
  const load = { running: 7, waiting: 3, most_requests: null, free_share: null, loaded: false };
  const state = { bytes: 9, constant: true, keys_and_values: "f32", full_attention_bytes_per_token: 4 };
  await registry.tell({ weight: 0.05, place: null, load, models: [{ ...model, spikes: "paper", state }] });
  expect(await registry.replicas()).toMatchObject([
    {
      models: [{ spikes: "paper", state: { bytes: 9, constant: true, keysAndValues: "f32", fullAttentionBytesPerToken: 4 } }],
      weight: 0.05,
      place: null,
      load: { running: 7, waiting: 3, mostRequests: null, mostRunning: null, freeShare: null, loaded: false },
      heardAt: Date.now(),
    },
  ]);
  expect(await registry.tell({ status: "draining" })).toMatchObject({ status: "draining" });
  expect(await registry.replicas()).toMatchObject([{ draining: true }]);
  expect(await registry.tell({ status: "gone" })).toMatchObject({ status: "removed" });
  expect(await registry.replicas()).toEqual([]);
});

test("variables say how often a replica is heard of, and how long it may be silent", async () => {
  const registry = new Registry({ POOL_HEARTBEAT_SECONDS: "50" });
  await expect(registry.tell()).rejects.toThrow('POOL_EXPIRY_SECONDS must be at least twice POOL_HEARTBEAT_SECONDS; it is "20".');
  await expect(new Registry({ POOL_HEARTBEAT_SECONDS: "0" }).tell()).rejects.toThrow(
    "POOL_HEARTBEAT_SECONDS must be a whole number of seconds from 1 to 60",
  );
});

describe("a replica that is silent", () => {
  test("gets no work after the expiry, and is removed by the alarm", async () => {
    const registry = new Registry();
    await registry.tell();
    later(20 * second);
    expect(await registry.names()).toEqual(["seven-1"]);
    later(1);
    expect(await registry.names()).toEqual([]);
    await registry.tell({ sequence: 9 });
    expect(await registry.names()).toEqual(["seven-1"]);

    later(21 * second);
    const log = vi.spyOn(console, "info").mockImplementation(() => undefined);
    expect(await runDurableObjectAlarm(registry.object)).toBe(true);
    expect(log.mock.calls.flat()).toEqual([expect.stringContaining('"event":"replica_removed"')]);
    later(300 * second);
    await runDurableObjectAlarm(registry.object);
    const left = await registry.inside((_object, { storage }) =>
      storage.sql.exec("SELECT name FROM replicas UNION SELECT nonce FROM nonces").toArray(),
    );
    expect(left).toEqual([]);
    // Nothing is left to look after.
    expect(await runDurableObjectAlarm(registry.object)).toBe(false);
  });

  test("expires in its time also when the clock was set back meanwhile, by an hour", async () => {
    const registry = new Registry();
    await registry.tell();
    later(-3_600 * second);
    expect(await registry.names()).toEqual(["seven-1"]);
    later(21 * second);
    expect(await registry.names()).toEqual([]);
  });

  test("is there again with its next message after the clock was set forward, by a year", async () => {
    const registry = new Registry();
    await registry.tell();
    later(365 * 86_400 * second);
    expect(await registry.names()).toEqual([]);
    await registry.tell();
    expect(await registry.names()).toEqual(["seven-1"]);
    later(-365 * 86_400 * second);
    expect(await registry.names()).toEqual(["seven-1"]);
    await registry.tell();
    expect(await registry.names()).toEqual(["seven-1"]);
  });
});

describe("messages that come in another order than they were sent", () => {
  test("change nothing", async () => {
    const registry = new Registry();
    await registry.tell({ sequence: 5, status: "draining" });
    for (const sequence of [5, 4])
      expect(await registry.refusal({ sequence })).toMatchObject({ code: "conflict", status: 409, param: "sequence" });
    expect(await registry.refusal({ sequence: 50, started: body.started - 1 })).toMatchObject({ code: "conflict" });
    expect(await registry.replicas()).toMatchObject([{ draining: true }]);
    await registry.tell({ sequence: 0, started: body.started + 1 });
    expect(await registry.replicas()).toMatchObject([{ draining: false }]);
  });

  test("bring nobody back who is gone", async () => {
    const registry = new Registry();
    await registry.tell({ sequence: 1 });
    await registry.tell({ sequence: 3, status: "gone" });
    later(59 * second);
    expect(await registry.refusal({ sequence: 2 })).toMatchObject({ code: "conflict" });
    expect(await registry.names()).toEqual([]);
  });

  test("a farewell of one that was never here leaves nothing behind", async () => {
    const registry = new Registry();
    expect(await registry.tell({ status: "gone" })).toMatchObject({ status: "removed" });
    expect(await registry.inside((_object, { storage }) => storage.sql.exec("SELECT * FROM replicas").toArray())).toEqual([]);
  });
});

describe("a name", () => {
  test("belongs to the node that registered it first until its replica is gone or expired", async () => {
    const registry = new Registry();
    await registry.tell();
    for (const status of ["ready", "draining", "gone"])
      expect(await registry.refusal({ status, address: "https://other.pool.example.com" }, { node: "two" })).toMatchObject({
        code: "conflict",
        status: 409,
        param: "name",
        retryAfterSeconds: 20,
      });
    expect(await registry.replicas()).toMatchObject([{ node: "one", address: body.address }]);
    await registry.tell({ status: "gone" });
    await registry.tell({}, { node: "two" });
    expect(await registry.replicas()).toMatchObject([{ node: "two" }]);
    later(21 * second);
    await registry.tell();
    expect(await registry.replicas()).toMatchObject([{ node: "one" }]);
  });
});

describe("a registry that is lost", () => {
  const lose = {
    "its object is evicted": (registry: Registry) => evictDurableObject(registry.object),
    "its rows are deleted": (registry: Registry) =>
      registry.inside(async (_object, { storage }) => {
        await storage.deleteAll();
      }),
  };

  test("keeps replicas, owners and nonces over an eviction", async () => {
    const registry = new Registry();
    const message = signed({});
    await registry.send(message);
    const before = await registry.replicas();
    await lose["its object is evicted"](registry);
    expect(await registry.replicas()).toEqual(before);
    await expect(registry.send(message)).rejects.toThrow("'x-spikingbrain-nonce'");
    expect(await registry.refusal({}, { node: "two" })).toMatchObject({ param: "name" });
  });

  test("is whole again after one message of each replica", async () => {
    const registry = new Registry();
    const names = ["a", "b", "c"];
    for (const name of names) await registry.tell({ name });
    await lose["its rows are deleted"](registry);
    await lose["its object is evicted"](registry);
    expect(await registry.names()).toEqual([]);
    for (const name of names) await registry.tell({ name });
    expect(await registry.names()).toEqual(names);
  });

  test("begins anew where its rows cannot be read", async () => {
    const registry = new Registry();
    await registry.tell();
    await registry.inside((_object, { storage }) => {
      storage.sql.exec("UPDATE replicas SET replica = '{'");
    });
    await evictDurableObject(registry.object);
    const error = vi.spyOn(console, "error").mockImplementation(() => undefined);
    expect(await registry.names()).toEqual([]);
    expect(error.mock.calls.flat()).toEqual([expect.stringContaining('"event":"registry_begun_anew"')]);
    await registry.tell();
    expect(await registry.names()).toEqual(["seven-1"]);
  });

  test("drops what its variables no longer allow when it begins", async () => {
    const registry = new Registry();
    await registry.tell({ name: "a" });
    await registry.tell({ name: "b" });
    await registry.inside((_object, { storage }) => {
      storage.sql.exec("UPDATE replicas SET node = 'taken-out' WHERE name = 'a'");
      storage.sql.exec("UPDATE replicas SET replica = replace(replica, 'seven-1.pool', 'seven-1.elsewhere') WHERE name = 'b'");
    });
    await evictDurableObject(registry.object);
    expect(await registry.names()).toEqual([]);
  });
});
