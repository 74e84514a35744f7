/** One account of bytes for each key: what counts, what is let go of, and what happens where it is full. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SessionEnvironment } from "../../../workers/session/environment.ts";
import { emptySessionBytes } from "../../../workers/session/sessions/limits.ts";
import type { ShareRecord } from "../../../workers/session/sessions/share-object.ts";
import { inSession, owners } from "../session/sessions/support.ts";
import { failure, json, request, type ErrorAnswer } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { setQuota, untilRefused, usage, type Usage } from "../support/quota.ts";
import { greedy, SessionClient, user, type Session } from "../support/session-client.ts";
import { tenantOf } from "../support/stores.ts";

const bindings = env as unknown as SessionEnvironment;
const quota = 250_000;
/** Filling it takes many calls, which a busy machine may take its time for. */
const patience = { timeout: 30_000 };
const long = "Tell me of the sea, of its winds, its ships, its islands and of all those who live by it and of ";

let alice = new SessionClient();
beforeEach(() => {
  engine.use({});
  setQuota(undefined);
  alice = new SessionClient();
});
afterEach(() => {
  setQuota(undefined);
});

const size = (session: string) => inSession(alice, session, ({ storage }) => storage.sql.databaseSize);
const share = async (session: string) => (await (await alice.call("POST", `/v1/sessions/${session}/share`, {})).json<{ id: string }>()).id;
const remove = async (path: string) => expect((await alice.call("DELETE", path)).status).toBe(204);
const sessions = async () => (await (await alice.call("GET", "/v1/sessions?limit=100")).json<{ data: Session[] }>()).data;

async function sharedBytes(id: string): Promise<number> {
  const record = await runInDurableObject(bindings.SHARE_OBJECT.getByName(id), (_object, { storage }) => storage.get<ShareRecord>("share"));
  return await size(record?.session ?? "");
}

/** Under the key's own secret. */
async function exported(session: string): Promise<ArrayBuffer> {
  return await (await alice.call("POST", `/v1/sessions/${session}/export`, {})).arrayBuffer();
}

function imported(body: ArrayBuffer): Promise<Response> {
  return request("/v1/sessions/import", { method: "POST", headers: alice.headers, body });
}

/** Names the rule, each kind's bytes with their sum, and what helps. */
function expectRefusal({ code, message }: ErrorAnswer["error"], most: keyof Usage["bytes"], advice: string): void {
  expect(code).toBe("quota_exceeded");
  const [, limit, sum, list, kind, rest] =
    /^quota: what a key keeps may take (\d+) bytes; it would take (\d+): (.*?)\. Most of it are (\w+): (.*)\.$/.exec(message) ?? [];
  expect([limit, kind]).toEqual([String(quota), most]);
  expect(rest).toContain(advice);
  const kinds = new Map((list ?? "").split(", ").map((one) => [one.split(" ")[0], Number(one.split(" ")[1])]));
  expect([...kinds.keys()]).toEqual(["states", "sessions", "contexts", "shares", "streams"]);
  expect([...kinds.values()].reduce((total, bytes) => total + bytes, 0)).toBe(Number(sum));
  expect(Math.max(...kinds.values())).toBe(kinds.get(most));
  expect(Number(sum)).toBeGreaterThan(quota);
}

test("each kind counts what its objects hold, and is let go of with them", patience, async () => {
  const { id } = await alice.create({ name: "Sea" });
  await alice.talk(id, long, `${long}1`);
  const fork = await alice.create({ from: { session_id: id } });
  const file = await exported(id);
  const copy = await (await imported(file)).json<Session>();
  const context = await alice.createContext();
  await alice.upload(context.id, "offset=0&last=true", long);
  await expect.poll(async () => (await alice.facts(context.id)).ingest?.stage).toBe("ready");
  await alice.call("PATCH", `/v1/contexts/${context.id}`, { name: "Book" });
  const shares = [await share(id), await share(id)];
  const told = await usage(alice);
  expect(told.bytes).toMatchObject({
    sessions: (await size(id)) + (await size(fork.id)) + (await size(copy.id)),
    contexts: await size(context.id),
    shares: (await sharedBytes(shares[0] ?? "")) + (await sharedBytes(shares[1] ?? "")),
  });
  expect(told.bytes.states).toBeGreaterThan(0);
  expect(told.used_bytes).toBe(Object.values(told.bytes).reduce((sum, bytes) => sum + bytes, 0));
  expect(told.quota_bytes).toBe(2 ** 30);
  expect((await usage(new SessionClient())).used_bytes).toBe(0);

  const gone = await sharedBytes(shares[1] ?? "");
  await remove(`/v1/shares/${shares[1] ?? ""}`);
  expect((await usage(alice)).bytes.shares).toBe(told.bytes.shares - gone);
  const before = await size(id);
  expect((await alice.call("POST", `/v1/sessions/${id}/rewind`, { turn: 0 })).status).toBe(200);
  expect((await usage(alice)).bytes.sessions).toBe(told.bytes.sessions - before + (await size(id)));
  for (const each of [id, fork.id, copy.id]) await remove(`/v1/sessions/${each}`);
  await remove(`/v1/contexts/${context.id}`);
  expect((await usage(alice)).bytes).toMatchObject({ sessions: 0, contexts: 0, shares: 0 });
});

test("what was taken back counts no more: a session and its key's account are what they were", patience, async () => {
  const { id } = await alice.create();
  await alice.say(id, "Hello?");
  const before = { sessions: (await usage(alice)).bytes.sessions, bytes: (await alice.facts(id)).bytes };
  await alice.talk(id, ...Array.from({ length: 12 }, (_, turn) => long.repeat(3) + String(turn)));
  expect((await usage(alice)).bytes.sessions).toBeGreaterThan(before.sessions);
  expect((await alice.call("POST", `/v1/sessions/${id}/rewind`, { turn: 1 })).status).toBe(200);
  expect({ sessions: (await usage(alice)).bytes.sessions, bytes: (await alice.facts(id)).bytes }).toEqual(before);
});

describe("a quota is reached", patience, () => {
  test("by sessions alone: what was refused leaves nothing, and deleting helps", async () => {
    setQuota(quota);
    const { times, error } = await untilRefused(() => alice.call("POST", "/v1/sessions", { model: "tiny" }));
    expectRefusal(error, "sessions", "DELETE /v1/sessions/ID");
    expect(times).toBe(Math.floor(quota / emptySessionBytes));
    // The OpenAI SDKs would ask again and again after a 429.
    const { headers } = await alice.call("POST", "/v1/sessions", { model: "tiny" });
    expect([headers.get("retry-after"), headers.get("x-should-retry")]).toEqual([null, "false"]);
    expect(await sessions()).toHaveLength(times);
    expect((await usage(alice)).bytes.sessions).toBeLessThanOrEqual(quota);
    await new SessionClient().create();
    await remove(`/v1/sessions/${(await sessions())[0]?.id ?? ""}`);
    await alice.create();
  });

  test("by transcripts alone: a turn is refused before it begins, and what was said stays", async () => {
    setQuota(quota);
    const { id } = await alice.create();
    const { id: other } = await alice.create();
    await alice.say(other, "Hello?");
    const filler = "x".repeat(quota - 3 * emptySessionBytes);
    await inSession(alice, id, ({ storage }) => {
      storage.sql.exec("CREATE TABLE filler (text TEXT)");
      storage.sql.exec("INSERT INTO filler (text) VALUES (?)", filler);
    });
    expect((await alice.call("PATCH", `/v1/sessions/${id}`, { name: "Long" })).status).toBe(200);
    const body = { ...greedy, session_id: other, messages: [user("y".repeat(400))] };
    const { times, error } = await untilRefused(() => alice.call("POST", "/v1/chat/completions", body));
    expectRefusal(error, "sessions", "DELETE /v1/sessions/ID");
    expect(await alice.facts(other)).toMatchObject({ turns: 1 + times, running: null });
    await remove(`/v1/sessions/${id}`);
    await alice.say(other, "Hello?");
  });

  test("by shares alone", async () => {
    setQuota(quota);
    const { id } = await alice.create();
    await alice.say(id, "Hello?");
    const { times, error } = await untilRefused(() => alice.call("POST", `/v1/sessions/${id}/share`, {}));
    expectRefusal(error, "shares", "DELETE /v1/shares/ID");
    const { data } = await (await alice.call("GET", "/v1/shares?limit=100")).json<{ data: { id: string }[] }>();
    expect(data).toHaveLength(times);
    await remove(`/v1/shares/${data[0]?.id ?? ""}`);
    await share(id);
  });

  test("by documents alone: what arrived stays, and goes with its context", async () => {
    setQuota(quota);
    const { id } = await alice.createContext();
    const text = `${long} `.repeat(1_000);
    const refused = await alice.upload(id, "offset=0&last=true", text);
    expect(refused.status).toBe(429);
    expectRefusal(await failure(refused), "contexts", "DELETE /v1/contexts/ID");
    const { ingest } = await alice.facts(id);
    expect(ingest).toMatchObject({ stage: "uploading" });
    expect(ingest?.received_bytes).toBeLessThan(text.length);
    expect(await size(id)).toBeLessThanOrEqual(quota);
    const whole = await request("/v1/contexts?model=tiny", {
      ...json({}),
      headers: { ...alice.headers, "content-type": "text/plain" },
      body: text,
    });
    expect(await failure(whole)).toMatchObject({ code: "quota_exceeded" });
    const { data } = await (await alice.call("GET", "/v1/contexts")).json<{ data: Session[] }>();
    expect(data.map((one) => one.id)).toEqual([id]);
    await remove(`/v1/contexts/${id}`);
    expect((await usage(alice)).bytes.contexts).toBe(0);
    expect((await alice.upload((await alice.createContext()).id, "offset=0&last=true", long)).status).toBe(200);
  });

  test("by imports alone: a file that is refused leaves neither a session nor a state", async () => {
    setQuota(quota);
    const { id } = await alice.create();
    await alice.talk(id, long, `${long}1`);
    const file = await exported(id);
    const { times, error } = await untilRefused(() => imported(file));
    expectRefusal(error, "sessions", "DELETE /v1/sessions/ID");
    const all = await sessions();
    expect(all).toHaveLength(1 + times);
    const keepers = new Set((await owners(alice)).map((owner) => owner.split(":")[1]));
    expect([...keepers].toSorted()).toEqual(all.map((session) => session.id).toSorted());
  });

  test("by copies of another's share: one that is refused leaves no state", async () => {
    const { id } = await alice.create();
    await alice.say(id, long);
    const link = await share(id);
    const bob = new SessionClient();
    setQuota(quota);
    const { times } = await untilRefused(() => bob.call("POST", "/v1/sessions", { model: "tiny", share: link }));
    expect(new Set((await owners(bob)).map((owner) => owner.split(":")[1])).size).toBe(times);
  });
});

test("what can be made again goes before anything is refused, and stays where that would not help", async () => {
  setQuota(quota);
  for (let at = 0; at < 8; at++)
    await (await alice.call("POST", "/v1/chat/completions", { ...greedy, messages: [user(`${long}${String(at)}`)] })).text();
  await expect.poll(async () => (await usage(alice)).bytes.states).toBeGreaterThan(7_000);
  const account = bindings.TENANT_OBJECT.getByName(await tenantOf(alice.key));
  const { used_bytes: used, bytes } = await usage(alice);
  const room = emptySessionBytes - 4_000;
  const until = Date.now() + 3_600_000;
  expect(await account.admit({ owner: "another", kind: "contexts", bytes: quota - used - room, until })).toMatchObject({ ok: true });
  const tooMuch = await account.admit({ owner: "too much", kind: "sessions", bytes: room + bytes.states + 1, until });
  expect(tooMuch).toMatchObject({ ok: false, failure: { code: "quota_exceeded" } });
  expect((await usage(alice)).bytes).toEqual({ ...bytes, contexts: quota - used - room });
  await alice.create();
  expect((await usage(alice)).bytes.states).toBeLessThanOrEqual(bytes.states - 4_000);
  expect((await untilRefused(() => alice.call("POST", "/v1/sessions", { model: "tiny" }))).times).toBe(0);
});

test("a session that was taken by two at once is counted with its fork, and one that is refused leaves none", async () => {
  const { id } = await alice.create();
  engine.use({ delayMilliseconds: 20 });
  const running = await alice.call("POST", "/v1/chat/completions", { ...greedy, stream: true, session_id: id, messages: [user(long)] });
  const { session } = await alice.say(id, "And?");
  await running.text();
  expect(session).not.toBe(id);
  expect((await usage(alice)).bytes.sessions).toBe((await size(id)) + (await size(session)));
});
