/** Storage that refuses, as a full disk's does: whoever asks what is kept hears that it cannot be told now, and never that there is nothing. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { expect, onTestFinished, test, vi } from "vitest";
import type { SessionEnvironment } from "../../../../workers/session/environment.ts";
import { failure, json, request } from "../../support/gateway-client.ts";
import { SessionClient } from "../../support/session-client.ts";
import { tenantOf } from "../../support/stores.ts";
import { streamObjectName } from "../../../../workers/session/ids/ids.ts";
import { sessionObject } from "./support.ts";

const bindings = env as unknown as SessionEnvironment;
const full = "database or disk is full: SQLITE_FULL";

interface FullDisk {
  /** How many statements it has refused. */
  readonly failed: () => number;
  readonly empty: () => Promise<void>;
}

/** Every statement of the object fails, until it is emptied or the test ends. */
async function fill(object: DurableObjectStub): Promise<FullDisk> {
  let failed = 0;
  const restore = await runInDurableObject(object, (_instance, { storage }) => {
    const { sql } = storage;
    const exec = sql.exec.bind(sql);
    const refuse = () => {
      failed += 1;
      throw new Error(full);
    };
    Object.defineProperty(sql, "exec", { value: refuse, configurable: true });
    return () => {
      Object.defineProperty(sql, "exec", { value: exec, configurable: true });
    };
  });
  const empty = async () => {
    await runInDurableObject(object, restore);
  };
  onTestFinished(empty);
  return { failed: () => failed, empty };
}

/** A client with two sessions and a context. */
async function filled() {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  const client = new SessionClient();
  const [one, other, context] = [await client.create(), await client.create(), await client.createContext()];
  return { client, one: one.id, other: other.id, context: context.id };
}

/** So that it reads its file anew. */
async function lose(object: DurableObjectStub): Promise<void> {
  const [lost] = await Promise.allSettled([
    runInDurableObject(object, (_instance, state) => {
      state.abort("lost");
    }),
  ]);
  expect(lost.status).toBe("rejected");
}

const listed = async (response: Response): Promise<string[]> =>
  (await response.json<{ data: { id: string }[] }>()).data.map(({ id }) => id);

async function expectAway(response: Response): Promise<void> {
  expect([response.status, await failure(response)]).toMatchObject([503, { code: "session_unavailable" }]);
}

test("a list says that it cannot be told where one of its sessions cannot be asked, and is whole again afterwards", async () => {
  const { client, one, other, context } = await filled();
  expect((await listed(await client.call("GET", "/v1/sessions"))).toSorted()).toEqual([one, other].toSorted());
  await lose(await sessionObject(client, one));
  const { failed, empty } = await fill(await sessionObject(client, one));
  await expectAway(await client.call("GET", "/v1/sessions"));
  await expectAway(await client.call("GET", `/v1/sessions/${one}`));
  expect(failed()).toBeGreaterThan(0);
  // The others can be told.
  expect((await client.call("GET", `/v1/sessions/${other}`)).status).toBe(200);
  expect(await listed(await client.call("GET", "/v1/contexts"))).toEqual([context]);
  await empty();
  expect((await listed(await client.call("GET", "/v1/sessions"))).toSorted()).toEqual([one, other].toSorted());
});

test.each(["/v1/sessions", "/v1/contexts", "/v1/shares", "/v1/usage"])(
  "%s is not empty where the directory cannot be read",
  async (path) => {
    const { client } = await filled();
    const { failed } = await fill(bindings.DIRECTORY_OBJECT.getByName(await tenantOf(client.key)));
    await expectAway(await client.call("GET", path));
    expect(failed()).toBeGreaterThan(0);
  },
);

test("what a key uses is not nothing where its account cannot be read", async () => {
  const { client } = await filled();
  const { failed } = await fill(bindings.TENANT_OBJECT.getByName(await tenantOf(client.key)));
  await expectAway(await client.call("GET", "/v1/usage"));
  expect(failed()).toBeGreaterThan(0);
});

test("a stream that cannot be read now is not unknown, whoever asks meanwhile", async () => {
  const { client } = await filled();
  const body = { model: "tiny", messages: [{ role: "user", content: "hi" }], stream: true };
  const response = await request("/v1/chat/completions", json(body, client.headers));
  const stream = response.headers.get("x-spikingbrain-stream") ?? "none";
  await response.text();
  const object = () => bindings.STREAM_OBJECT.getByName(streamObjectName(stream) ?? "");
  await lose(object());
  const tenant = await tenantOf(client.key);
  const attempts = await runInDurableObject(object(), async (instance, { storage: { sql } }) => {
    const exec = sql.exec.bind(sql);
    const refuse = (query: string, ...values: SqlStorageValue[]) => {
      if (query.includes("FROM log")) throw new Error(full);
      return exec(query, ...values);
    };
    Object.defineProperty(sql, "exec", { value: refuse, configurable: true });
    const both = await Promise.allSettled([instance.attach(tenant, stream, 0), instance.attach(tenant, stream, 0)]);
    Object.defineProperty(sql, "exec", { value: exec, configurable: true });
    return both.map((attempt) => (attempt.status === "rejected" ? String(attempt.reason) : attempt.value.ok));
  });
  expect(attempts).toEqual([`Error: ${full}`, `Error: ${full}`]);
  const again = await client.call("GET", `/v1/streams/${stream}`);
  expect(again.status).toBe(200);
  await again.text();
});
