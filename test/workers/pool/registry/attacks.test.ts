/** Whoever cannot sign gets nothing into the registry and learns nothing; whoever can is held to the window, to one use, and to bounds. */
import { evictDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { fromBase64, toBase64 } from "../../../../workers/encoding/base64.ts";
import type { NodeMessage } from "../../../../workers/contracts/pool.ts";
import { bodyLimitBytes, nodeSecrets, replicaKey, windowSeconds } from "../../../../workers/pool/registry/node-credential.ts";
import { mostMessages } from "../../../../workers/pool/registry/pool-object.ts";
import { tellRegistry } from "../../../../workers/pool/registry/tell.ts";
import { spyOnLog } from "../../support/log-spy.ts";
import example from "../../../fixtures/node-credential.json" with { type: "json" };
import { body, failureOf, model, path, Registry, secretOf, signed } from "./support.ts";

let lines: string[] = [];
beforeEach(() => {
  lines = spyOnLog();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const forged = "'x-spikingbrain-signature': must be this request's, by the secret of a node that this deployment knows.";

describe("a message that nobody here has signed", () => {
  const flip = (text: string) => (text.startsWith("0") ? "1" : "0") + text.slice(1);
  const alter = (change: (message: NodeMessage) => Partial<NodeMessage>) => {
    const message = signed({});
    return { ...message, ...change(message) };
  };
  const bytes = (said: object) => new TextEncoder().encode(JSON.stringify(said));
  const messages: Record<string, () => NodeMessage> = {
    "another secret": () => signed({}, { secret: new Uint8Array(32).fill(9) }),
    "another node's secret": () => signed({}, { node: "one", secret: secretOf.two }),
    "a node that is not known": () => alter(() => ({ node: "three" })),
    "a node that is not known, signed with zeros": () => ({ ...signed({}, { secret: new Uint8Array(32) }), node: "three" }),
    "another signature": () => alter(({ signature }) => ({ signature: flip(signature ?? "") })),
    "another body": () => alter(() => ({ body: bytes({ ...body, weight: 100 }) })),
    "one byte more": () => alter((message) => ({ body: Uint8Array.from([...message.body, 32]) })),
    "another path": () => alter(() => ({ path: `${path}/` })),
    "another method": () => alter(() => ({ method: "PUT" })),
    "another time": () => alter(({ timestamp }) => ({ timestamp: String(Number(timestamp) + 1) })),
    "another nonce": () => alter(({ nonce }) => ({ nonce: flip(nonce ?? "") })),
  };

  test.each(Object.entries(messages))("%s", async (_name, message) => {
    const registry = new Registry();
    expect(await failureOf(registry.send(message()))).toEqual({
      code: "invalid_node_credential",
      status: 401,
      message: forged,
      param: "x-spikingbrain-signature",
      retryable: false,
    });
    expect(await registry.names()).toEqual([]);
    expect(lines).toEqual([
      '{"level":"info","event":"node_refused","node":"unknown","code":"invalid_node_credential","param":"x-spikingbrain-signature"}',
    ]);
  });

  test("a header that is missing or is none is named, and its value is not repeated", async () => {
    const registry = new Registry();
    const odd = ["", " ", "x\n", "é", "9".repeat(300), "0X10", "-1", "1.5", "A".repeat(64)];
    for (const field of ["node", "timestamp", "nonce", "signature"] as const) {
      const missing = await failureOf(registry.send({ ...signed({}), [field]: null }));
      expect(missing).toMatchObject({
        status: 401,
        param: `x-spikingbrain-${field}`,
        message: expect.stringContaining("it is missing") as string,
      });
      for (const value of odd) {
        const failure = await failureOf(registry.send({ ...signed({}), [field]: value }));
        expect([field, value, failure.status]).toEqual([field, value, 401]);
        if (value.trim().length > 3) expect(failure.message).not.toContain(value);
      }
    }
  });

  test("no node at all takes none", async () => {
    const registry = new Registry({ POOL_NODES: "" });
    expect(await registry.refusal()).toMatchObject({ status: 401, message: forged });
  });
});

describe("a clock that is away", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));

  test("by up to the window either way is taken", async () => {
    const registry = new Registry();
    vi.setSystemTime(1_900_000_000_000);
    await registry.tell({}, { timestamp: 1_900_000_000 - windowSeconds });
    await registry.tell({}, { timestamp: 1_900_000_000 + windowSeconds });
  });

  test.each([-3_600, -windowSeconds - 1, windowSeconds + 1, 86_400 * 365])("by %d s is told the time", async (seconds) => {
    const registry = new Registry();
    vi.setSystemTime(1_900_000_000_000);
    expect(await registry.refusal({}, { timestamp: 1_900_000_000 + seconds })).toMatchObject({
      code: "invalid_node_credential",
      param: "x-spikingbrain-timestamp",
      message: `'x-spikingbrain-timestamp': must be within 60 seconds of this server's clock, which is at 1900000000; it is ${String(1_900_000_000 + seconds)}.`,
    });
    expect(await registry.names()).toEqual([]);
  });
});

describe("a message that comes again", () => {
  test("is refused as long as its time would be taken", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const registry = new Registry();
    const begin = Date.now();
    const early = signed({ sequence: 1 }, { timestamp: Math.floor(begin / 1_000) + windowSeconds - 1 });
    await registry.send(early);
    for (let seconds = 0; seconds < 2 * windowSeconds - 2; seconds += 7) {
      vi.setSystemTime(begin + 1_000 * seconds);
      await registry.tell({ name: "other" });
      expect((await failureOf(registry.send(early))).param).toBe("x-spikingbrain-nonce");
    }
    vi.setSystemTime(begin + 1_000 * 2 * windowSeconds);
    expect((await failureOf(registry.send(early))).param).toBe("x-spikingbrain-timestamp");
  });

  test("is refused also when the first was refused, and when both come at once", async () => {
    const registry = new Registry();
    await registry.tell({ sequence: 5 });
    const old = signed({ sequence: 4 });
    expect((await failureOf(registry.send(old))).param).toBe("sequence");
    expect((await failureOf(registry.send(old))).param).toBe("x-spikingbrain-nonce");
    const fresh = signed({ sequence: 6 });
    const both = await Promise.allSettled([registry.send(fresh), registry.send(fresh)]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  });

  test("a nonce is a node's own: another may have drawn the same", async () => {
    const registry = new Registry();
    const nonce = "0".repeat(32);
    await registry.tell({ name: "a" }, { nonce });
    await registry.tell({ name: "b" }, { nonce, node: "two" });
    expect(await registry.names()).toEqual(["a", "b"]);
  });
});

describe("a body", () => {
  const refused = async (said: object) =>
    await failureOf(new Registry().send(signed({}, { bytes: new TextEncoder().encode(JSON.stringify(said)) })));
  const without = (field: string) => Object.fromEntries(Object.entries(body).filter(([name]) => name !== field));

  test("that is too large is refused before it is read, by its bytes", async () => {
    const registry = new Registry();
    const sending = { bytes: new Uint8Array(bodyLimitBytes + 1) };
    expect(await registry.refusal({}, sending)).toMatchObject({ code: "payload_too_large", status: 413 });
    expect((await registry.refusal({}, { bytes: new Uint8Array(bodyLimitBytes) })).message).toBe(
      "The request body is not valid JSON in UTF-8.",
    );
  });

  test("that is no JSON is refused without a word of it", async () => {
    for (const text of ["", "{", "nonsense-secret", "[".repeat(20_000), '{"name":"\\ud800"']) {
      const failure = await failureOf(new Registry().send(signed({}, { bytes: new TextEncoder().encode(text) })));
      expect(failure).toMatchObject({ code: "invalid_request", message: "The request body is not valid JSON in UTF-8." });
    }
    const failure = await failureOf(new Registry().send(signed({}, { bytes: Uint8Array.from([0xff, 0xfe, 0x7b]) })));
    expect(failure.message).toBe("The request body is not valid JSON in UTF-8.");
  });

  test("has every field", async () => {
    for (const field of Object.keys(body)) expect(await refused(without(field))).toMatchObject({ code: "invalid_request", param: field });
    for (const field of Object.keys(model))
      expect(
        await refused({ ...body, models: [Object.fromEntries(Object.entries(model).filter(([name]) => name !== field))] }),
      ).toMatchObject({
        param: `models[0].${field}`,
      });
  });

  test.each<[string, object, string]>([
    ["name", { name: "engine" }, "must not be 'engine'"],
    ["name", { name: "../x" }, 'must be 1 to 64 letters, digits or the characters . _ -, the first one a letter or digit (got "../x")'],
    ["name", { name: "a\r\nb" }, "must be 1 to 64 letters"],
    ["name", { name: "x".repeat(65) }, "must be 1 to 64 letters"],
    ["kind", { kind: "openai" }, ""],
    ["status", { status: "starting" }, ""],
    ["sequence", { sequence: -1 }, "(got -1)"],
    ["sequence", { sequence: 1.5 }, "(got 1.5)"],
    ["sequence", { sequence: 2 ** 53 }, ""],
    ["started", { started: "now" }, '(got "now")'],
    ["place", { place: "a b" }, ""],
    ["weight", { weight: -1 }, "(got -1)"],
    ["weight", { weight: 101 }, "(got 101)"],
    ["models", { models: [] }, ""],
    ["models", { models: [model, model] }, "must have each id once"],
    ["models", { models: Array.from({ length: 9 }, (_unused, index) => ({ ...model, id: `m${String(index)}` })) }, ""],
    ["models[0].id", { models: [{ ...model, id: "a b" }] }, '(got "a b")'],
    ["models[0].digest", { models: [{ ...model, digest: "AB".repeat(32) }] }, "must be 64 hexadecimal digits in small letters"],
    ["models[0].abilities[0]", { models: [{ ...model, abilities: ["flight"] }] }, '(got "flight")'],
    ["models[0].parameters", { models: [{ ...model, parameters: 1e16 }] }, ""],
    [
      "models[0].state.keys_and_values",
      { models: [{ ...model, state: { bytes: 1, constant: true, keys_and_values: "f16", full_attention_bytes_per_token: 1 } }] },
      "",
    ],
    ["load.free_share", { load: { ...body.load, free_share: 1.01 } }, "(got 1.01)"],
    ["load.running", { load: { ...body.load, running: -1 } }, "(got -1)"],
    [
      "versions",
      { versions: Object.fromEntries(Array.from({ length: 17 }, (_unused, index) => [`v${String(index)}`, "1"])) },
      "must be at most 16",
    ],
    ["versions.vllm", { versions: { vllm: "x".repeat(65) } }, ""],
  ])("%s", async (param, said, message) => {
    const failure = await refused({ ...body, ...said });
    expect(failure).toMatchObject({ code: "invalid_request", status: 400, param });
    expect(failure.message).toContain(message);
  });

  test("with a field that nobody knows is refused by its name", async () => {
    expect(await refused({ ...body, key: "secret" })).toEqual({
      code: "unknown_field",
      status: 400,
      message: "Unknown field: 'key'.",
      param: "key",
      retryable: false,
    });
    expect(await refused({ ...body, models: [{ ...model, extra: 1 }] })).toMatchObject({ param: "models[0].extra" });
    expect(await refused({ ...body, load: { ...body.load, __proto: 1 } })).toMatchObject({ param: "load.__proto" });
  });
});

describe("floods", () => {
  test("of strangers never reach the registry", async () => {
    const registry = new Registry();
    const calls = vi.fn();
    const environment = {
      ...registry.environment,
      POOL_OBJECT: { getByName: calls } as unknown as typeof registry.environment.POOL_OBJECT,
    };
    for (let index = 0; index < 200; index++)
      await failureOf(tellRegistry(environment, signed({}, { secret: new Uint8Array(32).fill(3 + index) })));
    expect(calls).not.toHaveBeenCalled();
  });

  test("of a node's replicas end at its bound, and leave other nodes alone", async () => {
    const registry = new Registry();
    for (let index = 0; index < 64; index++) await registry.tell({ name: `r${String(index)}` });
    expect(await registry.refusal({ name: "r64" })).toMatchObject({
      code: "quota_exceeded",
      status: 429,
      message: "A node may have at most 64 replicas, and has them.",
    });
    await registry.tell({ name: "r63" });
    await registry.tell({ name: "other" }, { node: "two" });
    await registry.tell({ name: "r0", status: "gone" });
    await registry.tell({ name: "r64" });
    expect(await registry.names()).toHaveLength(65);
  });

  test("of names that come and go end too", async () => {
    const registry = new Registry();
    await registry.tell({ name: "r1" });
    await registry.tell({ name: "r1", status: "gone" });
    await registry.inside((_object, { storage }) => {
      storage.sql.exec(
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 256) INSERT INTO replicas SELECT 'r' || i, 'one', 0, 0, ?, NULL FROM n",
        Date.now(),
      );
    });
    await evictDurableObject(registry.object);
    expect(await registry.refusal({ name: "r257" })).toMatchObject({ code: "quota_exceeded" });
    await registry.tell({ name: "r256" });
    await registry.tell({ name: "other" }, { node: "two" });
    expect(await registry.names()).toEqual(["r256", "other"]);
  });

  test("of a node's messages end at its bound, and leave other nodes alone", async () => {
    const registry = new Registry();
    await registry.tell();
    const now = Math.floor(Date.now() / 1_000);
    await registry.inside((_object, { storage }) => {
      storage.sql.exec(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO nonces SELECT 'one', i, ? FROM n",
        ...[mostMessages, now],
      );
    });
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 1_000);
    expect(await registry.refusal()).toMatchObject({ code: "overloaded", status: 429, retryAfterSeconds: 120 });
    await registry.tell({ name: "other" }, { node: "two" });
    vi.setSystemTime(Date.now() + 61_000);
    await registry.tell();
  });
});

describe("credentials", () => {
  test("a node's secret is read from POOL_NODES, and told by no error", () => {
    const secret = toBase64(new Uint8Array(32).fill(5));
    expect([...nodeSecrets({ POOL_NODES: `a:${secret}, b.c-d_e:${secret}` }).keys()]).toEqual(["a", "b.c-d_e"]);
    for (const wrong of [
      `a:${secret}x`,
      `a:${secret},a:${secret}`,
      secret,
      `:${secret}`,
      `a b:${secret}`,
      `a:${secret};b:${secret}`,
      "a:",
      " ",
    ]) {
      let message = "";
      try {
        nodeSecrets({ POOL_NODES: wrong });
      } catch (cause) {
        message = String(cause);
      }
      expect([wrong, message]).toEqual([
        wrong,
        expect.stringMatching(/^ServiceError: POOL_NODES must .*; its value, which is secret, is not\.$/),
      ]);
    }
  });

  test("nodes come and go: each has its own secret, and one that is taken out is a stranger", async () => {
    const both = new Registry();
    await both.tell({ name: "a" });
    await both.tell({ name: "b" }, { node: "two" });
    const one = `one:${toBase64(secretOf.one)}`;
    const rotated = new Registry({ POOL_NODES: one });
    await rotated.tell({ name: "a" });
    expect(await rotated.refusal({ name: "b" }, { node: "two" })).toMatchObject({ status: 401, message: forged });
  });

  test("agree with what Python computes", async () => {
    const { secret, request, signature, replica, key } = example;
    const registry = new Registry({ POOL_NODES: `${request.node}:${secret}` });
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(1_000 * Number(request.timestamp));
    const message = { ...request, signature, body: new TextEncoder().encode(request.body) };
    expect(await registry.send(message)).toMatchObject({ status: "taken" });
    expect(await registry.replicas()).toMatchObject([{ name: replica, node: request.node }]);
    expect(await replicaKey(fromBase64(secret), replica)).toBe(key);
  });
});
