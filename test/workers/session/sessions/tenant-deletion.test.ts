/** Nothing of a tenant is left once it is deleted: neither what nobody lists, nor what an object that is lost told of. */
import { env } from "cloudflare:workers";
import { listDurableObjectIds, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SessionEnvironment } from "../../../../workers/session/environment.ts";
import { streamObjectName } from "../../../../workers/session/ids/ids.ts";
import type { OrderOfTurn } from "../../../../workers/session/sessions/contract.ts";
import { DirectoryObject, type DirectoryRow } from "../../../../workers/session/sessions/directory-object.ts";
import { SessionObject } from "../../../../workers/session/sessions/session-object.ts";
import { TenantObject } from "../../../../workers/session/snapshots/tenant-object.ts";
import { hasTable } from "../../../../workers/session/storage/tables.ts";
import { engine } from "../../support/gateway-worker.ts";
import { ResponseClient } from "../../support/response-client.ts";
import { greedy, user } from "../../support/session-client.ts";
import { tenantOf } from "../../support/stores.ts";

const bindings = env as unknown as SessionEnvironment & {
  readonly SESSION: { deleteTenant(tenant: string): Promise<{ ok: boolean }> };
};
const minute = 60_000;

let alice = new ResponseClient();
let tenant = "";
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  engine.use({});
  alice = new ResponseClient();
  tenant = await tenantOf(alice.key);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Ids of sessions of any kind whose objects hold something of the tenant's. */
async function sessions(): Promise<string[]> {
  const ids: string[] = [];
  for (const id of await listDurableObjectIds(bindings.SESSION_OBJECT as unknown as DurableObjectNamespace)) {
    const record = await runInDurableObject(bindings.SESSION_OBJECT.get(id), (_object, { storage: { sql } }) =>
      hasTable(sql, "record") ? (sql.exec<{ json: string }>("SELECT json FROM record").toArray()[0]?.json ?? "{}") : "{}",
    );
    const { id: session, tenant: owner } = JSON.parse(record) as { readonly id?: string; readonly tenant?: string };
    if (owner === tenant && session !== undefined) ids.push(session);
  }
  return ids;
}

const remove = async () => {
  expect(await bindings.SESSION.deleteTenant(tenant)).toMatchObject({ ok: true });
};

/** As where a disk is lost: the object dies, and begins anew with nothing. */
async function loseFile(object: DurableObjectStub): Promise<void> {
  const dying = runInDurableObject(object, async (_object, state) => {
    await state.storage.deleteAll();
    state.abort("lost");
  });
  await dying.catch((cause: unknown) => {
    if (!String(cause).includes("lost")) throw cause;
  });
}

const died = () => Promise.reject(new Error("the isolate died"));

/** A method of objects breaks off where it is called with such a value, until mocks are restored. */
function diesIn(prototype: object, name: string, when: (value: DirectoryRow & OrderOfTurn) => boolean): void {
  const method = Reflect.get(prototype, name) as (value: unknown) => unknown;
  vi.spyOn(prototype as Record<string, (value: DirectoryRow & OrderOfTurn) => unknown>, name).mockImplementation(function (
    this: unknown,
    value,
  ) {
    if (when(value)) throw new Error("the isolate died");
    return Reflect.apply(method, this, [value]);
  });
}

/** The stream of a response that is not kept, which goes on from one that is; it runs. */
async function passing(): Promise<string> {
  const first = await alice.made({ input: "Of the sea?" });
  engine.use({ delayMilliseconds: 20 });
  const body = { input: "And the land?", store: false, previous_response_id: first.id, stream: true, max_output_tokens: 400 };
  const response = await alice.respond(body);
  void response.body?.cancel();
  return response.headers.get("x-spikingbrain-stream") ?? "";
}

const streamObject = (stream: string) => bindings.STREAM_OBJECT.getByName(streamObjectName(stream) ?? "") as unknown as DurableObjectStub;

test("the fork of a response that is not kept, where the object of its stream is lost", async () => {
  await loseFile(streamObject(await passing()));
  expect(await sessions()).toHaveLength(2);
  await remove();
  expect(await sessions()).toEqual([]);
});

test("the same fork goes by itself ten minutes later, but not under an answer that still runs", async () => {
  const stream = await passing();
  const before = await sessions();
  const lookAtAll = async () => {
    vi.setSystemTime(Date.now() + 11 * minute);
    for (const id of before) await runDurableObjectAlarm(bindings.SESSION_OBJECT.getByName(`${tenant}/${id}`));
    return await sessions();
  };
  expect(before).toHaveLength(2);
  expect(await lookAtAll()).toEqual(before);
  await loseFile(streamObject(stream));
  expect(await lookAtAll()).toHaveLength(1);
});

/** Each makes one session more than there was, and is cut off before anybody is told of it. */
const making: readonly (readonly [string, (session: string, response: string) => Promise<Response>])[] = [
  ["a fork", (session) => alice.call("POST", "/v1/sessions", { model: "tiny", from: { session_id: session } })],
  ["a shared fork", (session) => alice.call("POST", `/v1/sessions/${session}/share`, {})],
  ["a fork of responses", (_session, response) => alice.respond({ input: "Or?", previous_response_id: response })],
  ["a fork that goes with its turn", (_session, response) => alice.respond({ input: "Or?", previous_response_id: response, store: false })],
];

test.each(making)("%s whose maker dies before anybody is told of it", async (_name, make) => {
  const { id } = await alice.create();
  await alice.say(id, "Hello?");
  const first = await alice.made({ input: "Of the sea?" });
  await alice.made({ input: "And then?", previous_response_id: first.id });
  const before = await sessions();
  diesIn(DirectoryObject.prototype, "put", (row: DirectoryRow) => !before.includes(row.id));
  diesIn(DirectoryObject.prototype, "putShare", () => true);
  diesIn(SessionObject.prototype, "beginTurn", ({ turn }: OrderOfTurn) => turn.after === undefined);
  expect((await make(id, first.id)).status).toBeGreaterThanOrEqual(500);
  vi.restoreAllMocks();
  expect((await sessions()).length).toBe(before.length + 1);
  await remove();
  expect(await sessions()).toEqual([]);
});

test.each([
  ["the directory", "DIRECTORY_OBJECT"],
  ["the account", "TENANT_OBJECT"],
] as const)("all of it, where %s has lost its file", async (_name, lost) => {
  const { id } = await alice.create({ name: "Sea" });
  await alice.say(id, "Hello?");
  expect((await alice.call("POST", `/v1/sessions/${id}/share`, {})).status).toBe(201);
  await loseFile(streamObject(await passing()));
  expect(await sessions()).toHaveLength(4);
  await loseFile(bindings[lost].getByName(tenant));
  await remove();
  expect(await sessions()).toEqual([]);
});

test("a stream that the account did not hear of is counted at its object's next look, so that it is found", async () => {
  const admit = vi.spyOn(TenantObject.prototype, "admit").mockImplementation(died);
  const charge = vi.spyOn(TenantObject.prototype, "charge").mockImplementation(died);
  const body = { ...greedy, stream: true, messages: [user("Hello?")] };
  const answer = await alice.call("POST", "/v1/chat/completions", body);
  const stream = answer.headers.get("x-spikingbrain-stream") ?? "";
  await answer.text();
  await expect.poll(() => charge.mock.calls.length).toBeGreaterThan(0);
  for (const spy of [admit, charge]) spy.mockRestore();
  expect(await runDurableObjectAlarm(streamObject(stream))).toBe(true);
  await expect.poll(() => bindings.TENANT_OBJECT.getByName(tenant).charged("streams")).toEqual([stream]);
  const orders = async () =>
    await runInDurableObject(streamObject(stream), (_object, { storage: { sql } }) =>
      sql.exec("SELECT stream FROM orders WHERE stream = ?", stream).toArray(),
    );
  expect(await orders()).toHaveLength(1);
  await remove();
  expect(await orders()).toEqual([]);
});
