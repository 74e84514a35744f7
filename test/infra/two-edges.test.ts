/** Two edges, each an isolate of its own as in two data centres, and the one registry that both read. */
import { createHash, createHmac, randomBytes } from "node:crypto";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inRepository } from "../../infra/local/paths.ts";

const secret = Buffer.alloc(32, 3);
const path = "/v1/pool/replicas";

/** What the pool Worker does with a node's message and with a plan, and which isolate did it. */
const program = `
import { snapshotOf, tellRegistry } from "./workers/pool/registry/tell.ts";
export { PoolObject } from "./workers/pool/registry/pool-object.ts";
let isolate;
export default {
  async fetch(request, env) {
    isolate ??= crypto.randomUUID();
    if (request.method === "GET") {
      const { replicas } = await snapshotOf(env);
      return Response.json({ isolate, names: replicas.map(({ name, weight }) => name + " " + weight) });
    }
    const said = (name) => request.headers.get("x-spikingbrain-" + name);
    const signed = { node: said("node"), timestamp: said("timestamp"), nonce: said("nonce"), signature: said("signature") };
    const body = new Uint8Array(await request.arrayBuffer());
    try {
      return Response.json(await tellRegistry(env, { method: "POST", path: "${path}", ...signed, body }));
    } catch (cause) {
      return Response.json(cause.failure ?? String(cause), { status: 400 });
    }
  },
};`;

let edges: Miniflare;

beforeAll(async () => {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: inRepository(), loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    external: ["cloudflare:*"],
  });
  const worker = (name: string) => ({
    name,
    modules: [{ type: "ESModule" as const, path: "index.mjs", contents: outputFiles[0]?.text ?? "" }],
    modulesRoot: "/",
    compatibilityDate: "2026-10-15",
    bindings: { POOL_NODES: `one:${secret.toString("base64")}`, POOL_HOSTS: "*.pool.example.com" },
    durableObjects: { POOL_OBJECT: { className: "PoolObject", scriptName: "first", useSQLite: true } },
  });
  edges = new Miniflare(convertV4MiniflareOptions({ workers: [worker("first"), worker("second")] }));
  await edges.ready;
});

afterAll(async () => {
  await edges.dispose();
});

let sequence = 0;

/** A node's message, as it would be sent to either edge. */
function message(name: string, status: string, weight = 1): { readonly headers: Record<string, string>; readonly body: string } {
  const sha256 = "ab".repeat(32);
  const model = { id: "m", digest: sha256, tokenizer_digest: sha256, architecture: "spikingbrain", parameters: 1, vocabulary_size: 10 };
  const models = [{ ...model, context_length: 10, abilities: [], kernel: "vllm", state: null, spikes: null }];
  const who = { name, address: `https://${name}.pool.example.com`, kind: "vllm", place: null, weight };
  const load = { running: 0, waiting: 0, most_requests: null, free_share: null, loaded: true };
  const body = JSON.stringify({ ...who, status, sequence: ++sequence, started: 1, models, load, versions: {} });
  const [timestamp, nonce] = [String(Math.floor(Date.now() / 1000)), randomBytes(16).toString("hex")];
  const digest = createHash("sha256").update(body).digest("hex");
  const text = ["spikingbrain node 1", "POST", path, timestamp, nonce, digest].join("\n");
  const said = { node: "one", timestamp, nonce, signature: createHmac("sha256", secret).update(text).digest("hex") };
  return { headers: Object.fromEntries(Object.entries(said).map(([header, value]) => [`x-spikingbrain-${header}`, value])), body };
}

async function send(edge: string, init?: { readonly headers: Record<string, string>; readonly body: string }): Promise<unknown> {
  const worker = await edges.getWorker(edge);
  const answer = await worker.fetch("http://edge.test/", init === undefined ? {} : { method: "POST", ...init });
  return await answer.json();
}

const read = async (edge: string) => (await send(edge)) as { readonly isolate: string; readonly names: readonly string[] };

test("what one is told the other plans with, whichever a replica speaks to", async () => {
  await send("first", message("a", "ready"));
  await send("second", message("b", "ready"));
  const [first, second] = [await read("first"), await read("second")];
  expect(first.isolate).not.toBe(second.isolate);
  expect(first.names).toEqual(["a 1", "b 1"]);
  expect(second.names).toEqual(["a 1", "b 1"]);

  await send("second", message("a", "ready", 0.05));
  await send("first", message("b", "gone"));
  for (const edge of ["first", "second"]) expect((await read(edge)).names).toEqual(["a 0.05"]);
});

test("a message that one edge has taken is a replay at the other", async () => {
  const once = message("c", "ready");
  expect(await send("first", once)).toMatchObject({ status: "taken" });
  for (const edge of ["second", "first"])
    expect(await send(edge, once)).toMatchObject({ code: "invalid_node_credential", param: "x-spikingbrain-nonce" });
});
