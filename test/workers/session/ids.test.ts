/** Looking up what was never given out finds nothing and leaves nothing. */
import { env } from "cloudflare:workers";
import { listDurableObjectIds, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, test } from "vitest";
import type { SessionEnvironment } from "../../../workers/session/environment.ts";
import type { SessionRecord } from "../../../workers/session/sessions/record.ts";
import { sessionAt } from "../../../workers/session/sessions/find-session.ts";
import { isGivenOut, newId, newStreamId, streamObjectName } from "../../../workers/session/ids/ids.ts";
import { failure, request } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { SessionClient } from "../support/session-client.ts";
import { tenantOf } from "../support/stores.ts";
import { lose, sessionObject } from "./sessions/support.ts";

const bindings = env as unknown as SessionEnvironment;
const forgedIds = 200;

beforeEach(() => {
  engine.use({});
});

async function objects(): Promise<number> {
  const { SESSION_OBJECT, SHARE_OBJECT, STREAM_OBJECT, TENANT_OBJECT, DIRECTORY_OBJECT } = bindings;
  const listed = await Promise.all(
    [SESSION_OBJECT, SHARE_OBJECT, STREAM_OBJECT, TENANT_OBJECT, DIRECTORY_OBJECT].map((namespace) =>
      listDurableObjectIds(namespace as unknown as DurableObjectNamespace),
    ),
  );
  return listed.reduce((sum, { length }) => sum + length, 0);
}

const digits = (count: number) => Array.from(crypto.getRandomValues(new Uint8Array(count)), (byte) => (byte % 16).toString(16)).join("");

describe("an id that was never given out creates nothing", () => {
  test.each([
    ["session", "GET", () => `/v1/sessions/sess_${digits(48)}`],
    ["session of the older form", "DELETE", () => `/v1/sessions/sess_${digits(32)}`],
    ["session's turns", "GET", () => `/v1/sessions/sess_${digits(48)}/turns`],
    ["context", "GET", () => `/v1/contexts/ctx_${digits(48)}`],
    ["context's events", "GET", () => `/v1/contexts/ctx_${digits(48)}/events`],
    ["stream", "GET", () => `/v1/streams/zz${String(10 + (digits(1).charCodeAt(0) % 90))}-${digits(48)}`],
    ["stream's end", "DELETE", () => `/v1/streams/${"abcdefgh".slice(0, 2 + (digits(1).charCodeAt(0) % 6))}07-${digits(48)}`],
    ["share", "GET", () => `/v1/shares/share_${digits(48)}`],
    ["share's end", "DELETE", () => `/v1/shares/share_${digits(48)}`],
  ])("%s", async (_name, method, path) => {
    const client = new SessionClient();
    // The tenant's own directory is one object, however often it is asked.
    await client.create();
    const before = await objects();
    for (const headers of [client.headers, {}]) {
      const answers = await Promise.all(
        Array.from({ length: forgedIds }, async () => {
          const response = await request(path(), { method, headers });
          await response.text();
          return response.status;
        }),
      );
      expect(new Set(answers.filter((status) => status !== 404 && status !== 401))).toEqual(new Set());
    }
    expect(await objects()).toBe(before);
  });

  test("a turn, a fork and a copy of a share", async () => {
    const client = new SessionClient();
    await client.create();
    const before = await objects();
    for (let at = 0; at < 20; at++) {
      const session = `sess_${digits(48)}`;
      await expect(client.say(session, "Hello?")).rejects.toThrow("session_not_found");
      await expect(client.create({ from: { session_id: session } })).rejects.toThrow("session_not_found");
      await expect(client.create({ share: `share_${digits(48)}` })).rejects.toThrow("share_not_found");
      const exported = await client.call("POST", `/v1/sessions/${session}/export`, {});
      expect(await failure(exported)).toMatchObject({ code: "session_not_found" });
    }
    expect(await objects()).toBe(before);
  });

  test("what was changed in one digit, of another kind or another tenant's", async () => {
    const [alice, mallory] = [new SessionClient(), new SessionClient()];
    const { id } = await alice.create();
    await mallory.create();
    const context = await alice.createContext();
    const before = await objects();
    for (let at = 5; at < id.length; at++) {
      const changed = `${id.slice(0, at)}${id[at] === "0" ? "1" : "0"}${id.slice(at + 1)}`;
      expect((await alice.call("GET", `/v1/sessions/${changed}`)).status).toBe(404);
    }
    const others = [context.id.replace("ctx_", "sess_"), id.replace("sess_", "ctx_")];
    for (const other of others) expect((await alice.call("GET", `/v1/sessions/${other}`)).status).toBe(404);
    expect((await request(`/v1/shares/${id.replace("sess_", "share_")}`)).status).toBe(404);
    expect((await mallory.call("GET", `/v1/sessions/${id}`)).status).toBe(404);
    expect(await objects()).toBe(before);
  });
});

describe("a tenant that keeps nothing", () => {
  test("has no tables after it has asked for its lists, its usage and the end of everything", async () => {
    const client = new SessionClient();
    for (const path of ["/v1/sessions", "/v1/contexts", "/v1/usage"]) expect((await client.call("GET", path)).status).toBe(200);
    const tenant = await tenantOf(client.key);
    const { SESSION } = env as unknown as { SESSION: { deleteTenant(tenant: string): Promise<{ ok: boolean }> } };
    expect((await SESSION.deleteTenant(tenant)).ok).toBe(true);
    for (const namespace of [bindings.TENANT_OBJECT, bindings.DIRECTORY_OBJECT] as unknown as DurableObjectNamespace[])
      expect(await tables(namespace.getByName(tenant))).toEqual([]);
  });

  test("has none of a session that it has deleted, though it asks for it again", async () => {
    const client = new SessionClient();
    const { id } = await client.create();
    await client.say(id, "Hello?");
    expect((await client.call("DELETE", `/v1/sessions/${id}`)).status).toBe(204);
    await lose(client, id);
    expect((await client.call("GET", `/v1/sessions/${id}`)).status).toBe(404);
    expect(await tables(bindings.SESSION_OBJECT.getByName(`${await tenantOf(client.key)}/${id}`))).toEqual([]);
  });
});

async function tables(object: DurableObjectStub): Promise<string[]> {
  return await runInDurableObject(object, (_object, { storage }) =>
    Array.from(
      storage.sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'"),
      ({ name }) => name,
    ),
  );
}

describe("signatures", () => {
  const key = (version: number) => `${String(version)}:${btoa(String.fromCharCode(...new Uint8Array(32).fill(version)))}`;

  test("hold while their secret is among those that are set", async () => {
    const old = await newId({ STATE_KEYS: key(1) }, "share", null);
    expect(await isGivenOut({ STATE_KEYS: `${key(2)},${key(1)}` }, old, null, "share")).toBe(true);
    expect(await isGivenOut({ STATE_KEYS: key(2) }, old, null, "share")).toBe(false);
    expect(await isGivenOut({}, old, null, "share")).toBe(false);
  });

  test("are made without any secret too", async () => {
    const stream = await newStreamId({}, "FRA", "tenant");
    expect(streamObjectName(stream)).toMatch(/^fra\d\d$/);
    expect(await isGivenOut({}, stream, "tenant", "stream")).toBe(true);
    expect(await isGivenOut({}, stream, null, "stream")).toBe(false);
  });

  test("name the setting that breaks its rule", async () => {
    await expect(newId({ STATE_KEYS: "1:short" }, "sess", "tenant")).rejects.toThrow("STATE_KEYS");
  });
});

test("a session outlives the secret that its id was signed with", async () => {
  const client = new SessionClient();
  const { id } = await client.create();
  const tenant = await tenantOf(client.key);
  const older = await newId({ STATE_KEYS: `9:${btoa("k".repeat(32))}` }, "sess", tenant);
  expect((await client.call("GET", `/v1/sessions/${older}`)).status).toBe(404);
  const template = await runInDurableObject(
    await sessionObject(client, id),
    (_object, { storage }) => JSON.parse(storage.sql.exec<{ json: string }>("SELECT json FROM record").one().json) as SessionRecord,
  );
  await sessionAt(bindings, tenant, older).create({ ...template, id: older, name: "Old" });
  expect(await client.facts(older)).toMatchObject({ id: older, name: "Old" });
  expect((await client.say(older, "Hello?")).session).toBe(older);
  expect((await new SessionClient().call("GET", `/v1/sessions/${older}`)).status).toBe(404);
});
