/** No secret of a node or a replica is in a log line or an error, whatever a message is like. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { toBase64 } from "../../../../workers/encoding/base64.ts";
import { logLine } from "../../../../workers/observe/log-line.ts";
import { nodeSecrets, replicaKey } from "../../../../workers/pool/registry/node-credential.ts";
import { staticReplicas } from "../../../../workers/pool/registry/static-list.ts";
import { eventOf, formIn, newSecret, spyOnLog } from "../../support/log-spy.ts";
import { body, failureOf, model, Registry, signed } from "./support.ts";

// 32 letters are the 32 bytes of a node's secret.
const [nodeSecret, otherSecret, staticKey, inAddress, inField] = Array.from({ length: 5 }, newSecret) as [
  string,
  string,
  string,
  string,
  string,
];
const bytes = (text: string) => Uint8Array.from(new TextEncoder().encode(text));
const base64 = (secret: string) => toBase64(bytes(secret));
const variables = { POOL_NODES: `one:${base64(nodeSecret)},two:${base64(otherSecret)}` };

let lines: string[] = [];
beforeEach(() => {
  lines = spyOnLog();
});
afterEach(() => {
  vi.restoreAllMocks();
});

async function secrets(): Promise<string[]> {
  const key = await replicaKey(bytes(nodeSecret), body.name);
  return [nodeSecret, otherSecret, staticKey, inAddress, inField, key];
}

/** Texts that hold one of the secrets, in whichever form. */
async function leaks(texts: readonly string[]): Promise<string[]> {
  const all = await secrets();
  return texts.filter((text) => all.some((secret) => formIn(text, secret) !== undefined));
}

test("the check finds each of them where it is planted, as it is and as base64", async () => {
  for (const secret of await secrets()) {
    logLine("error", "node_refused", { node: secret });
    logLine("error", "node_refused", { code: `x${base64(secret)}` });
  }
  expect(await leaks(lines)).toEqual(lines);
  expect(lines).toHaveLength(12);
});

test("nothing that is sent and nothing that is configured brings one out", async () => {
  const registry = new Registry(variables);
  const mine = { secret: bytes(nodeSecret) };
  const errors: string[] = [];
  const tried = async (message: ReturnType<typeof signed>) => {
    errors.push(JSON.stringify(await failureOf(registry.send(message))));
  };
  await registry.tell({}, mine);
  await registry.tell({ status: "gone" }, mine);
  const known = signed({ sequence: 90 }, mine);
  await registry.send(known);
  await tried(known);
  await tried({ ...known, nonce: "0".repeat(32) });
  await tried(signed({ sequence: 1 }, mine));
  await tried(signed({}, { ...mine, timestamp: 1 }));
  await tried(signed({}, { node: "two", secret: bytes(otherSecret) }));
  for (const header of ["node", "timestamp", "nonce", "signature"] as const) await tried({ ...known, [header]: inField });
  for (const said of [
    ...[`https://user:${inAddress}@gpu.example.com`, `https://gpu.example.com/${inAddress}`, inAddress].map((address) => ({ address })),
    ...[{ models: [{ ...model, kernel: `${inField}\n${"x".repeat(80)}` }] }, { versions: { vllm: inField.repeat(4) } }],
  ])
    await tried(signed({ sequence: 100, ...said }, mine));
  for (const text of [`{"key":"${inField}"`, inField, JSON.stringify([inField])]) await tried(signed({}, { ...mine, bytes: bytes(text) }));
  for (const wrong of [{ POOL_NODES: `one:${nodeSecret}` }, { POOL_NODES: base64(nodeSecret) }]) {
    errors.push(JSON.stringify(await failureOf(new Registry(wrong).tell())));
    expect(() => nodeSecrets(wrong)).toThrow();
  }
  for (const list of [
    [{ name: "a", key: staticKey }],
    [{ name: "a", key: `${staticKey} x` }],
    [{ name: "a", address: `https://x:${staticKey}@y.z` }],
  ])
    errors.push(JSON.stringify(await failureOf(Promise.resolve().then(() => staticReplicas({ POOL_STATIC: JSON.stringify(list) }, 0)))));

  expect(errors).toHaveLength(22);
  expect(await leaks(errors)).toEqual([]);
  expect(lines.map(eventOf)).toEqual(expect.arrayContaining(["node_refused", "replica_registered", "replica_removed"]));
  expect(await leaks(lines)).toEqual([]);
  // Nor is one in what other Workers are told.
  expect(await leaks([JSON.stringify(await registry.replicas())])).toEqual([]);
});
