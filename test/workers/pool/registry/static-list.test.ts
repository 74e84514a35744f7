/** `POOL_STATIC`, and which key each replica is called with. */
import { describe, expect, test } from "vitest";
import { toBase64 } from "../../../../workers/encoding/base64.ts";
import { credentialsOf } from "../../../../workers/pool/registry/replica-keys.ts";
import { staticReplicas } from "../../../../workers/pool/registry/static-list.ts";
import { model, secretOf } from "./support.ts";

const hosts = "gpu.example.com";
const plain = { name: "plain", kind: "openai", address: "https://gpu.example.com/v1-of-mine", models: [model] };
const { address } = plain;
const read = (value: unknown) => staticReplicas({ POOL_STATIC: JSON.stringify(value), POOL_HOSTS: hosts }, 17);

test("is empty where it is unset", () => {
  expect(staticReplicas({}, 0)).toEqual([]);
  expect(staticReplicas({ POOL_STATIC: "" }, 0)).toEqual([]);
});

test("replicas are as they are written, and their keys are apart from them", () => {
  const found = read([plain, { ...plain, name: "other", kind: "vllm", key: "sk-the-key", weight: 0.5, place: "FRA" }]);
  expect(found).toMatchObject([
    {
      key: null,
      replica: { name: "plain", node: null, kind: "openai", address: plain.address, weight: 1, place: null, draining: false, heardAt: 17 },
    },
    {
      key: "sk-the-key",
      replica: { name: "other", kind: "vllm", weight: 0.5, place: "FRA", models: [{ tokenizerDigest: model.tokenizer_digest }] },
    },
  ]);
  expect(JSON.stringify(found.map(({ replica }) => replica))).not.toContain("sk-the-key");
});

describe("a list that breaks its rule is refused by field, and nothing of its values is told", () => {
  test.each<[unknown, string]>([
    ["text", "must be a JSON list of replicas"],
    [{}, "must be a JSON list of replicas"],
    [[{ ...plain, name: "engine" }], "'[0].name': must not be 'engine'"],
    [[plain, plain], "must have each name once"],
    [[{ ...plain, kind: "engine" }], "'[0].kind'"],
    [[{ ...plain, key: "with space" }], "'[0].key': must be 1 to 512 printable ASCII characters without white space"],
    [[{ ...plain, kye: "x" }], "Unknown field: '[0].kye'"],
    [[{ ...plain, models: [] }], "'[0].models'"],
    [[{ ...plain, weight: 101 }], "'[0].weight'"],
    [[{ ...plain, address: "https://169.254.169.254" }], "that of plain must have a host name with a dot in it"],
    [[{ ...plain, address: "http://127.0.0.1:8000" }], "that of plain must begin with https://"],
  ])("%j: %s", (value, message) => {
    expect(() => read(value)).toThrow(message);
    expect(() => read(value)).toThrow(/^POOL_STATIC must .*; its value, which is secret, is not\.$/s);
  });

  test("that is no JSON", () => {
    expect(() => staticReplicas({ POOL_STATIC: "[sk-secret" }, 0)).toThrow(
      "POOL_STATIC must be a JSON list of replicas; its value, which is secret, is not.",
    );
  });

  test("a key that is no key is not in the message", () => {
    expect(() => read([{ ...plain, key: "sk two words" }])).not.toThrow("two words");
  });
});

test("a registered replica's key is made of its node's secret, and no other replica has it", async () => {
  const variables = {
    POOL_NODES: `one:${toBase64(secretOf.one)},two:${toBase64(secretOf.two)}`,
    POOL_STATIC: JSON.stringify([{ ...plain, key: "sk-static" }]),
    POOL_HOSTS: hosts,
  };
  const keys = await Promise.all(
    [
      { name: "a", node: "one" },
      { name: "b", node: "one" },
      { name: "a", node: "two" },
      { name: "plain", node: null },
    ].map(async (replica) => (await credentialsOf(variables, { ...replica, address })).key),
  );
  expect(keys).toEqual([
    expect.stringMatching(/^[0-9a-f]{64}$/),
    expect.stringMatching(/^[0-9a-f]{64}$/),
    expect.stringMatching(/^[0-9a-f]{64}$/),
    "sk-static",
  ]);
  expect(new Set(keys).size).toBe(4);
  for (const unknown of [
    { name: "a", node: "taken-out" },
    { name: "unknown", node: null },
  ])
    expect(await credentialsOf(variables, { ...unknown, address })).toEqual({ key: null, access: null });
});

test("the tunnel's token goes to replicas that have registered and to those that the list says are behind it, and over no plain HTTP", async () => {
  const variables = {
    POOL_NODES: `one:${toBase64(secretOf.one)}`,
    POOL_ACCESS: "88bf3b6d86161464f6509f7219099e57.access:the-secret-of-the-token",
    POOL_STATIC: JSON.stringify([plain, { ...plain, name: "ours", access: true }]),
    POOL_HOSTS: hosts,
  };
  const token = { id: "88bf3b6d86161464f6509f7219099e57.access", secret: "the-secret-of-the-token" };
  const access = async (name: string, node: string | null, at = address) =>
    (await credentialsOf(variables, { name, node, address: at })).access;
  expect(await access("seven-1", "one")).toEqual(token);
  expect(await access("ours", null)).toEqual(token);
  expect(await access("plain", null)).toBeNull();
  expect(await access("seven-1", "taken-out")).toBeNull();
  expect(await access("seven-1", "one", "http://gpu.example.com:8000")).toBeNull();
});
