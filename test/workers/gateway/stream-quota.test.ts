/** Logs of answers in a key's account of bytes, and what the account costs an answer. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SessionEnvironment } from "../../../workers/session/environment.ts";
import { streamObjectName } from "../../../workers/session/ids/ids.ts";
import { chat, failure, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { setQuota, untilRefused, usage } from "../support/quota.ts";
import { greedy, SessionClient, user } from "../support/session-client.ts";
import { tenantOf } from "../support/stores.ts";

const bindings = env as unknown as SessionEnvironment;
const quota = 60_000;
const minute = 60_000;
const long = "Tell me of the sea, of its winds, its ships, its islands and of all those who live by it and of ";

let alice = new SessionClient();
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  engine.use({});
  setQuota(undefined);
  alice = new SessionClient();
});
afterEach(() => {
  vi.useRealTimers();
  setQuota(undefined);
});

const ask = (content: string, body: Json = {}) =>
  alice.call("POST", "/v1/chat/completions", { ...greedy, stream: true, messages: [user(content)], ...body });
const idOf = (response: Response) => response.headers.get("x-spikingbrain-stream") ?? "";
const attach = async (stream: string, client = alice) => {
  const response = await client.call("GET", `/v1/streams/${stream}`);
  await response.text();
  return response.status;
};

async function rowBytes(stream: string): Promise<number> {
  return await runInDurableObject(bindings.STREAM_OBJECT.getByName(streamObjectName(stream) ?? ""), (_object, { storage }) => {
    const orders = "SELECT length(CAST(text AS BLOB)) AS bytes FROM orders WHERE stream = ?";
    const parts = "SELECT sum(length(bytes)) AS bytes FROM order_parts WHERE instr(name, ?) = 1";
    const log = "SELECT sum(length(bytes)) AS bytes FROM log WHERE stream = ?";
    return [orders, parts, log].reduce((sum, query) => sum + storage.sql.exec<{ bytes: number }>(query, stream).one().bytes, 0);
  });
}

async function deleteTenant(client: SessionClient): Promise<void> {
  const { SESSION } = env as unknown as { SESSION: { deleteTenant(tenant: string): Promise<{ ok: boolean }> } };
  expect((await SESSION.deleteTenant(await tenantOf(client.key))).ok).toBe(true);
}

test("an answer counts its order and its log until it can't be read again, one of a session as long or until the session goes", async () => {
  const { id } = await alice.create();
  const answers = [await ask(long), await ask("And?"), await ask("Why?", { session_id: id })];
  for (const answer of answers) await answer.text();
  const sizes = await Promise.all(answers.map((answer) => rowBytes(idOf(answer))));
  expect(Math.min(...sizes)).toBeGreaterThan(500);
  const [first = 0, second = 0, third = 0] = sizes;
  await expect.poll(async () => (await usage(alice)).bytes.streams).toBe(first + second + third);
  expect((await usage(new SessionClient())).bytes.streams).toBe(0);
  expect((await alice.call("DELETE", `/v1/sessions/${id}`)).status).toBe(204);
  expect((await usage(alice)).bytes.streams).toBe(first + second);
  vi.setSystemTime(Date.now() + 10 * minute);
  expect((await usage(alice)).bytes.streams).toBe(first + second);
  vi.setSystemTime(Date.now() + minute);
  expect((await usage(alice)).bytes.streams).toBe(0);
});

test("without a key nothing is counted", async () => {
  const calls = await recorded(async () => {
    await (await chat({ stream: true, max_tokens: 4 })).text();
  });
  expect(calls).toEqual([]);
});

test("a quota is reached by logs alone: the refusal says when they go, and leaves nothing", { timeout: 30_000 }, async () => {
  setQuota(quota);
  const refused = await untilRefused(() => ask(long), 200);
  expect(refused.times).toBeGreaterThan(3);
  expect(refused.error).toMatchObject({ code: "quota_exceeded" });
  expect(refused.error.message).toMatch(
    /Most of it are streams: answers that have ended are let go of within minutes, so try again later\.$/,
  );
  const running = engine.running;
  const again = await ask(long);
  expect([again.status, again.headers.get("retry-after")]).toEqual([429, String((11 * minute) / 1_000)]);
  await again.text();
  await expect.poll(() => engine.running).toBe(running);
  expect((await usage(alice)).bytes.streams).toBeLessThanOrEqual(quota + 2_000);
  const { id } = await new SessionClient().create();
  expect(id).toMatch(/^sess_/);
  vi.setSystemTime(Date.now() + 11 * minute);
  const later = await ask(long);
  expect(later.status).toBe(200);
  await later.text();
});

test("a turn whose stream is refused leaves its session as it was", async () => {
  setQuota(quota);
  const { id } = await alice.create();
  await alice.say(id, "Hello?");
  await expect.poll(async () => (await usage(alice)).bytes.streams).toBeGreaterThan(1_000);
  const account = bindings.TENANT_OBJECT.getByName(await tenantOf(alice.key));
  const { used_bytes: used } = await usage(alice);
  // Room for the turn's message and its tokens, and not for the order, which holds all that was asked for.
  await account.charge({ owner: "another", kind: "contexts", bytes: quota - used - 400, until: Date.now() + minute });
  const calls = await recorded(async () => {
    expect(await failure(await ask("Why?", { session_id: id }))).toMatchObject({ code: "quota_exceeded" });
  });
  expect(calls.filter((name) => name === "admit")).toHaveLength(2);
  await expect.poll(() => engine.running).toBe(0);
  expect(await alice.facts(id)).toMatchObject({ turns: 1, running: null });
  await account.discharge(["another"]);
  await alice.say(id, "Why?");
});

test("an answer that was refused or never began is not counted", async () => {
  engine.use({ refuse: { code: "overloaded", status: 503, message: "full", retryable: true } });
  expect((await ask(long)).status).toBe(503);
  await expect.poll(async () => (await usage(alice)).bytes.streams).toBe(0);
});

test("a tenant's answers end with it, also those of no session: nobody reads them again", async () => {
  const ended = await ask(long);
  await ended.text();
  engine.use({ delayMilliseconds: 20 });
  const running = await ask("And?", { max_tokens: 200 });
  const bob = new SessionClient();
  const other = await bob.call("POST", "/v1/chat/completions", { ...greedy, stream: true, messages: [user(long)] });
  await other.text();
  expect([await attach(idOf(ended)), await attach(idOf(other), bob)]).toEqual([200, 200]);
  await deleteTenant(alice);
  expect([await attach(idOf(ended)), await attach(idOf(running)), await attach(idOf(other), bob)]).toEqual([404, 404, 200]);
  expect((await running.text()).match(/data: \[DONE\]|event: error/g)).toHaveLength(1);
  await expect.poll(() => engine.running).toBe(0);
  expect((await usage(alice)).used_bytes).toBe(0);
});

/** Methods of tenants' objects that are called meanwhile, in order; `hold` delays their answers. */
async function recorded(
  work: () => Promise<unknown>,
  hold: (name: string) => Promise<unknown> = () => Promise.resolve(),
): Promise<string[]> {
  const calls: string[] = [];
  const objects = bindings.TENANT_OBJECT;
  const getByName = (tenant: string) => {
    const object = objects.getByName(tenant) as unknown as Record<string, (...values: unknown[]) => Promise<unknown>>;
    const call =
      (name: string) =>
      async (...values: unknown[]) => {
        calls.push(name);
        const answer = await object[name]?.(...values);
        await hold(name);
        return answer;
      };
    return new Proxy({}, { get: (_target, name) => call(String(name)) });
  };
  const variables = bindings as { TENANT_OBJECT: unknown };
  variables.TENANT_OBJECT = { getByName };
  try {
    await work();
  } finally {
    variables.TENANT_OBJECT = objects;
  }
  return calls;
}

test("the engine does not wait for the account, and an answer asks it twice", async () => {
  await (await ask(long)).text();
  engine.use({});
  let askedBefore = false;
  const hold = async (name: string) => {
    if (name !== "admit") return;
    for (let times = 0; times < 100 && engine.calls.length === 0; times++) await new Promise((resolve) => setTimeout(resolve, 10));
    askedBefore = engine.calls.length > 0;
  };
  const calls = await recorded(async () => {
    await (await ask(`${long}that.`)).text();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }, hold);
  expect(askedBefore).toBe(true);
  expect(calls.filter((name) => name === "admit" || name === "charge")).toEqual(["admit", "charge"]);
  expect(calls.slice(0, 2).toSorted()).toEqual(["admit", "find"]);
});

test("a turn asks the account once in its session and once in its stream before its first token, and as often after its last", async () => {
  const { id } = await alice.create();
  await alice.say(id, "Hello?");
  const calls = await recorded(async () => {
    await (await ask("And?", { session_id: id })).text();
    await new Promise((resolve) => setTimeout(resolve, 100));
  });
  expect(calls.filter((name) => name === "admit" || name === "charge")).toEqual(["admit", "admit", "charge", "charge"]);
});
