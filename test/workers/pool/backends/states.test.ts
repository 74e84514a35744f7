/** States in and out of a replica that refuses, loses or alters them: the answer comes all the same, and nothing stays behind. */
import { afterEach, describe, expect, test } from "vitest";
import type { GenerateEvent, GenerateRequest, StateSource } from "../../../../workers/contracts/engine.ts";
import { VllmBackend } from "../../../../workers/pool/backends/vllm.ts";
import { collect, valueOf } from "../../../contract/generation.ts";
import { callOf } from "../../../contract/replica/as-backend.ts";
import { errorOf } from "../../../contract/replica/error-of.ts";
import { ScriptedReplica, type ReplicaScript } from "../../../contract/replica/scripted-replica.ts";
import { filesOf, sourceOf } from "../../../contract/state-files.ts";
import { encode } from "../../support/toy-state.ts";
import { askedFor, description } from "./servers.ts";

const model = { ...description, abilities: ["states", "states_on_the_way"] } as const;
const read = [1, 2, 3, 4, 5];
const prompt = [6, 7];
const end = { at: [], end: true, fromPage: 0 };
let replica: ScriptedReplica;

async function answered(changes: Partial<GenerateRequest>, script: ReplicaScript = {}): Promise<readonly GenerateEvent[]> {
  replica = new ScriptedReplica(model);
  replica.script = script;
  const request = askedFor({ prompt: Uint32Array.from(prompt), ...changes });
  return await collect(valueOf(await new VllmBackend(replica.network).generate(callOf(model, request))));
}
const resumed = (script: ReplicaScript = {}, state: StateSource = sourceOf(encode(read), read)) =>
  answered({ resume: { tokens: read.length, state, seen: new Uint32Array() } }, script);
const types = (events: readonly GenerateEvent[]) => events.map(({ type }) => type);
const idsOf = (events: readonly GenerateEvent[]) => events.flatMap((event) => (event.type === "token" ? [event.id] : []));
const cold = async () => idsOf(await answered({ prompt: Uint32Array.from([...read, ...prompt]) }));
/** Answers requests by this method and beginning of their path in the replica's place. */
const instead = (method: string, answer: (request: Request) => Response | Promise<Response>): ReplicaScript => ({
  answers: (request) => (request.method === method && request.url.includes("/spikingbrain/states") ? answer(request) : undefined),
});

afterEach(() => expect.poll(() => replica.states.count).toBe(0));

test("what removes states at the replica is waited for, also where the reader leaves", async () => {
  replica = new ScriptedReplica(model);
  const left: Promise<unknown>[] = [];
  const backend = new VllmBackend(replica.network, { waitUntil: (work) => void left.push(work) });
  const stream = valueOf(await backend.generate(callOf(model, askedFor({ save: end, maxTokens: 200 }))));
  expect(replica.states.count).toBe(1);
  await stream.cancel();
  expect(left).toHaveLength(1);
  await Promise.all(left);
  expect(replica.states.count).toBe(0);
});

describe("a state goes in", () => {
  test("and its tokens are not read again", async () => {
    const events = await resumed();
    // vLLM says at its end what it has not had to compute.
    expect(types(events)).toEqual(["token", "token", "token", "token", "restored", "finish"]);
    expect(events.at(-1)).toMatchObject({ usage: { promptTokens: 7, completionTokens: 4, cachedTokens: 5 } });
    expect(idsOf(events)).toEqual(await cold());
  });

  test("and one that the replica has taken and then not used is not said to be restored", async () => {
    const events = await resumed({ sends: (line) => line.replace('"cached_tokens":5', '"cached_tokens":0') });
    expect(types(events)).toEqual(["token", "token", "token", "token", "finish"]);
    expect(events.at(-1)).toMatchObject({ usage: { promptTokens: 7, cachedTokens: 0 } });
    expect(replica.seen.map(({ method }) => method)).toContain("PUT");
  });

  test.each<[name: string, script: ReplicaScript]>([
    ["has no room for a handle", instead("POST", () => errorOf(507, "store_full"))],
    ["has no room for a file", instead("PUT", () => errorOf(503, "too_many_uploads"))],
    ["takes no file as large", instead("PUT", () => errorOf(413, "state_too_large"))],
    ["forgets the handle", instead("PUT", () => errorOf(404, "state_unknown"))],
  ])("a replica that %s computes the prompt", async (_name, script) => {
    const events = await resumed(script);
    expect(types(events)).toEqual(["token", "token", "token", "token", "finish"]);
    expect(events.at(-1)).toMatchObject({ usage: { promptTokens: 7, cachedTokens: 0 } });
    expect(idsOf(events)).toEqual(await cold());
  });

  test.each<[name: string, script: ReplicaScript]>([
    ["damaged", instead("PUT", () => errorOf(422, "state_invalid"))],
    ["one of other tokens", instead("PUT", () => Response.json({ tokens: 4 }))],
  ])("a state that the replica finds to be %s is given back", async (_name, script) => {
    expect(await resumed(script)).toMatchObject([{ type: "error", failure: { code: "state_rejected", retryable: true } }]);
  });

  test("a source whose tokens are not as many as it says is refused, and its file let go", async () => {
    let isLetGo = false;
    const file = new ReadableStream<Uint8Array>({ cancel: () => void (isLetGo = true) });
    replica = new ScriptedReplica(model);
    const request = askedFor({ resume: { tokens: 6, state: sourceOf(file, read), seen: new Uint32Array() } });
    const outcome = await new VllmBackend(replica.network).generate(callOf(model, request));
    expect(outcome).toMatchObject({ ok: false, failure: { code: "state_rejected" } });
    expect([isLetGo, replica.seen.length]).toEqual([true, 0]);
  });

  test("the file is sent whole, its digest behind it, and the share for a tenant", async () => {
    let body = new Uint8Array();
    const keep = async (request: Request) => {
      body = new Uint8Array(await request.arrayBuffer());
      return errorOf(503, "too_many_uploads");
    };
    const share = "a".repeat(64);
    const state = sourceOf(encode(read), read);
    await answered({ share, resume: { tokens: read.length, state, seen: new Uint32Array() } }, instead("PUT", keep));
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", encode(read)));
    expect([...body]).toEqual([...encode(read), ...sum]);
    const told = replica.seen.map(({ method, url, headers }) => [method, new URL(url).search, headers["x-spikingbrain-tenant"]]);
    expect(told).toEqual([
      ["POST", "", share],
      ["PUT", "?digest=follows", share],
      ["POST", "", undefined],
      ["DELETE", "", share],
    ]);
    expect(replica.seen[2]?.body).toContain(`"cache_salt":"${share}"`);
  });

  test("a share that is no name is sent as its digest, so that no two shares are one tenant", async () => {
    const tenants: (string | undefined)[] = [];
    for (const share of ["ä b", "ä_b", null]) {
      await answered({ share, save: end });
      tenants.push(replica.seen[0]?.headers["x-spikingbrain-tenant"]);
    }
    expect(new Set(tenants).size).toBe(3);
    expect(tenants.map((tenant) => /^([0-9a-f]{64}|shared)$/.test(tenant ?? ""))).toEqual([true, true, true]);
  });
});

describe("a state comes out", () => {
  test("of all that was read: the answer's last token too", async () => {
    const events = await answered({ save: end });
    expect(types(events).slice(-3)).toEqual(["finish", "state", "saved"]);
    const text = [...prompt, ...idsOf(events)];
    expect([...(filesOf(events).get(text.length) ?? [])]).toEqual([...encode(text)]);
    // One token more than the answer has, so that its last one is read.
    expect(replica.seen[1]?.body).toContain('"max_tokens":5');
    expect(replica.generatedTokens).toBe(5);
  });

  test("of all but the last token, where the answer fills the context", async () => {
    const full = { ...model, contextLength: prompt.length + 4 };
    replica = new ScriptedReplica(full);
    const call = callOf(full, askedFor({ prompt: Uint32Array.from(prompt), save: end }));
    const events = await collect(valueOf(await new VllmBackend(replica.network).generate(call)));
    expect(types(events).slice(-3)).toEqual(["finish", "state", "saved"]);
    const read = [...prompt, ...idsOf(events)].slice(0, -1);
    expect([...(filesOf(events).get(read.length) ?? [])]).toEqual([...encode(read)]);
    expect([replica.generatedTokens, idsOf(events).length]).toEqual([4, 4]);
  });

  test.each<[name: string, script: ReplicaScript, reason: RegExp]>([
    ["has no room", instead("POST", () => errorOf(507, "store_full")), /no room/],
    ["has not written it", instead("GET", () => errorOf(409, "export_failed")), /export_failed/],
    ["is gone", instead("GET", () => Promise.reject(new Error("reset"))), /cannot be reached/],
    ["sends a web page", instead("GET", () => new Response("<html>", { headers: { "content-type": "text/html" } })), /type/],
    ["sends another text's", instead("GET", () => stateOf({ "x-spikingbrain-text-sha256": "0".repeat(64) })), /another text/],
  ])("a replica that %s: the answer is whole, and the state is not kept", async (_name, script, reason) => {
    const events = await answered({ save: end }, script);
    expect(types(events)).toEqual(["token", "token", "token", "token", "finish", "unsaved"]);
    expect(events.at(-1)).toMatchObject({ tokens: 6, reason: expect.stringMatching(reason) as string });
  });

  test("a byte that is not the replica's is found out", async () => {
    const altered = (bytes: Uint8Array<ArrayBuffer>) => bytes.with(150, (bytes[150] ?? 0) ^ 1);
    const script = instead("GET", async (request) => {
      const whole = await replica.states.answer(request);
      return new Response(altered(new Uint8Array(await whole.arrayBuffer())), { headers: whole.headers });
    });
    const events = await answered({ save: end }, script);
    expect(types(events).slice(-3)).toEqual(["finish", "state", "unsaved"]);
    expect(events.at(-1)).toMatchObject({ reason: expect.stringContaining("another digest") as string });
  });

  test("on the way, each from the last one", async () => {
    const text = Uint32Array.from({ length: 40 }, (_unused, at) => at);
    const events = await answered({ prompt: text, save: { at: [10, 30], end: false, fromPage: 0 } });
    expect([...filesOf(events).keys()]).toEqual([10, 30]);
    const bodies = replica.seen
      .filter(({ url }) => url.endsWith("generate"))
      .map(({ body }) => JSON.parse(body) as { token_ids: number[] });
    expect(bodies.map(({ token_ids: ids }) => ids.length)).toEqual([10, 30, 40]);
    expect(events.at(-1)).toMatchObject({ type: "finish", usage: { promptTokens: 40, cachedTokens: 30 } });
  });
});

const stateOf = (headers: Record<string, string>) =>
  new Response("x", { headers: { "content-type": "application/octet-stream", ...headers } });
