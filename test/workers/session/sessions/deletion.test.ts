/** What ends with a session, and what is never left behind. */
import { env } from "cloudflare:workers";
import { runDurableObjectAlarm } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import type { SessionEnvironment } from "../../../../workers/session/environment.ts";
import { newId } from "../../../../workers/session/ids/ids.ts";
import { SessionKeeper } from "../../../../workers/session/sessions/session-keeper.ts";
import { failure, request, type Json } from "../../support/gateway-client.ts";
import { engine } from "../../support/gateway-worker.ts";
import { greedy, SessionClient, user, type Session } from "../../support/session-client.ts";
import { tenantOf } from "../../support/stores.ts";
import { usage } from "../../support/quota.ts";
import { inSession, owners } from "./support.ts";

const bindings = env as unknown as SessionEnvironment;

let alice = new SessionClient();
beforeEach(() => {
  engine.use({});
  alice = new SessionClient();
});

const stream = (session: string, body: Json = {}) =>
  alice.call("POST", "/v1/chat/completions", { ...greedy, ...body, stream: true, session_id: session, messages: [user("Hello?")] });
const remove = (session: string) => alice.call("DELETE", `/v1/sessions/${session}`);
const share = async (session: string) => (await (await alice.call("POST", `/v1/sessions/${session}/share`, {})).json<{ id: string }>()).id;
const shares = async (query = "", client = alice) =>
  await (
    await client.call("GET", `/v1/shares${query}`)
  ).json<{ data: { id: string; session_id: string; name: string }[]; has_more: boolean }>();

test("a session's streams are forgotten with it, those of its fork are not", async () => {
  const { id } = await alice.create();
  const ended = await stream(id);
  const endedId = ended.headers.get("x-spikingbrain-stream") ?? "";
  await ended.text();
  const { id: fork } = await alice.create({ from: { session_id: id } });
  const forked = await stream(fork);
  const forkedId = forked.headers.get("x-spikingbrain-stream") ?? "";
  await forked.text();
  expect((await alice.call("GET", `/v1/streams/${endedId}`)).status).toBe(200);
  expect((await remove(id)).status).toBe(204);
  expect(await failure(await alice.call("GET", `/v1/streams/${endedId}`))).toMatchObject({ code: "stream_not_found" });
  expect((await alice.call("DELETE", `/v1/streams/${endedId}`)).status).toBe(404);
  expect((await alice.call("GET", `/v1/streams/${forkedId}`)).status).toBe(200);
});

test("streams that an operator keeps for longer than a day are forgotten with their session too", async () => {
  const { id } = await alice.create();
  const names: string[] = [];
  for (let days = 2; days > 0; days -= 1) {
    const answer = await stream(id);
    names.push(answer.headers.get("x-spikingbrain-stream") ?? "");
    await answer.text();
    await inSession(alice, id, ({ storage }) => void storage.sql.exec("UPDATE streams SET ended = ended - 86400000"));
  }
  expect((await remove(id)).status).toBe(204);
  for (const name of names) expect((await alice.call("GET", `/v1/streams/${name}`)).status).toBe(404);
});

test("a turn that runs ends with its session: its reader gets exactly one end, and nobody comes back", async () => {
  const { id } = await alice.create();
  engine.use({ delayMilliseconds: 20 });
  const running = await stream(id, { max_tokens: 60 });
  const name = running.headers.get("x-spikingbrain-stream") ?? "";
  expect((await remove(id)).status).toBe(204);
  const text = await running.text();
  expect(text.match(/data: \[DONE\]|event: error/g)).toHaveLength(1);
  await expect.poll(() => engine.running).toBe(0);
  expect((await alice.call("GET", `/v1/streams/${name}`)).status).toBe(404);
});

test("a stream that was forgotten is not found by who would stop it either, while it is still read", async () => {
  const { id } = await alice.create();
  const answer = await stream(id, { max_tokens: 60 });
  const name = answer.headers.get("x-spikingbrain-stream") ?? "";
  await expect.poll(() => engine.running).toBe(0);
  expect((await remove(id)).status).toBe(204);
  for (const method of ["GET", "DELETE"])
    expect(await failure(await alice.call(method, `/v1/streams/${name}`))).toMatchObject({ code: "stream_not_found" });
  expect(await answer.text()).toContain("data: [DONE]");
});

test("shares are listed, and end with their session", async () => {
  const { id } = await alice.create({ name: "Sea" });
  const { id: other } = await alice.create({ name: "Land" });
  for (const session of [id, other]) await alice.say(session, "Hello?");
  const [first, second, third] = [await share(id), await share(id), await share(other)];
  const some = await shares("?limit=2");
  const rest = await shares(`?limit=2&after=${some.data[1]?.id ?? ""}`);
  expect([...some.data, ...rest.data].map((one) => one.id).toSorted()).toEqual([first, second, third].toSorted());
  expect([some.has_more, rest.has_more]).toEqual([true, false]);
  expect((await shares(`?session_id=${other}`)).data).toMatchObject([{ id: third, session_id: other, name: "Land" }]);
  expect((await shares("", new SessionClient())).data).toEqual([]);
  expect((await remove(id)).status).toBe(204);
  for (const gone of [first, second]) expect((await request(`/v1/shares/${gone}`)).status).toBe(404);
  expect((await request(`/v1/shares/${third}`)).status).toBe(200);
  expect((await shares()).data.map((one) => one.id)).toEqual([third]);
  expect((await alice.call("DELETE", `/v1/shares/${third}`)).status).toBe(204);
  expect((await shares()).data).toEqual([]);
});

/** The session Worker of an isolate that dies before this call of a new share's object. */
function keeperThatDiesBefore(call: "begin" | "open"): SessionKeeper {
  const dying = (share: object) =>
    new Proxy(share, {
      get: (target, name) => (name === call ? () => Promise.reject(new Error("the isolate died")) : (Reflect.get(target, name) as unknown)),
    });
  const objects = { getByName: (name: string) => dying(bindings.SHARE_OBJECT.getByName(name)) };
  return new SessionKeeper({ ...bindings, SHARE_OBJECT: objects as unknown as SessionEnvironment["SHARE_OBJECT"] });
}

test.each(["begin", "open"] as const)(
  "a share that nobody could %s leaves nothing that is listed, kept or can't be ended",
  async (call) => {
    const { id } = await alice.create({ name: "Sea" });
    await alice.say(id, "Hello?");
    const before = await usage(alice);
    const kept = await owners(alice);
    const tenant = await tenantOf(alice.key);
    for (const ending of ["by its owner", "by itself"] as const) {
      await expect(keeperThatDiesBefore(call).shareSession(tenant, id, 60)).rejects.toThrow();
      const { data } = await shares();
      expect(data).toHaveLength(call === "open" ? 1 : 0);
      for (const { id: half } of data) {
        expect((await request(`/v1/shares/${half}`)).status).toBe(404);
        if (ending === "by its owner") expect((await alice.call("DELETE", `/v1/shares/${half}`)).status).toBe(204);
        else expect(await runDurableObjectAlarm(bindings.SHARE_OBJECT.getByName(half))).toBe(true);
      }
      expect((await shares()).data).toEqual([]);
      await expect.poll(async () => (await usage(alice)).bytes).toEqual(before.bytes);
      expect(await owners(alice)).toEqual(kept);
    }
  },
);

test("a share that is listed and whose object knows nothing of it can be ended", async () => {
  const { id } = await alice.create();
  const half = await newId(bindings, "share", null);
  const directory = bindings.DIRECTORY_OBJECT.getByName(await tenantOf(alice.key));
  await directory.putShare({ id: half, session: id, name: "Sea", created: 1, expires: 2 ** 40 });
  expect((await new SessionClient().call("DELETE", `/v1/shares/${half}`)).status).toBe(404);
  expect((await alice.call("DELETE", `/v1/shares/${half}`)).status).toBe(204);
  expect((await shares()).data).toEqual([]);
});

test("a text that is refused leaves no context", async () => {
  const post = (body: BodyInit) =>
    request("/v1/contexts?model=tiny&name=Book", { method: "POST", headers: { ...alice.headers, "content-type": "text/plain" }, body });
  for (const body of ["", new Uint8Array([0x61, 0xff, 0x62]), new Uint8Array([0x61, 0xe2, 0x82])]) {
    expect(await failure(await post(body))).toMatchObject({ code: "invalid_request", param: "text" });
  }
  const { data } = await (await alice.call("GET", "/v1/contexts")).json<{ data: Session[] }>();
  expect(data).toEqual([]);
  expect((await post("A text.")).status).toBe(201);
});

test("an upload that hangs is taken over where its text ends", async () => {
  const { id } = await alice.createContext();
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const hanging = alice.upload(id, "offset=0", readable);
  await writer.write(new TextEncoder().encode("Line one. "));
  await expect.poll(async () => (await alice.facts(id)).ingest?.received_bytes).toBe(10);
  expect(await failure(await alice.upload(id, "offset=3", "more"))).toMatchObject({ code: "conflict", param: "offset" });
  const taken = await alice.upload(id, "offset=10&last=true", "Line two.");
  expect([taken.status, (await taken.json<Session>()).ingest?.received_bytes]).toEqual([200, 19]);
  expect(await failure(await hanging)).toMatchObject({ code: "conflict" });
  await writer.abort().catch(() => undefined);
  await expect.poll(async () => (await alice.facts(id)).ingest?.stage).toBe("ready");
});
