/** Documents that are read while engines die, objects are lost and uploads are cut. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { beforeEach, expect, test, vi } from "vitest";
import type { ServiceFailure } from "../../../../workers/contracts/errors.ts";
import { ownerOf } from "../../../../workers/session/sessions/contract.ts";
import { TenantObject } from "../../../../workers/session/snapshots/tenant-object.ts";
import { failure } from "../../support/gateway-client.ts";
import { engine } from "../../support/gateway-worker.ts";
import { oracle, SessionClient, user, type Session } from "../../support/session-client.ts";
import { spyOnLog } from "../../support/log-spy.ts";
import { inSession, lose, owners, sessionObject, withoutStateKeys } from "./support.ts";

const documentText = Array.from({ length: 7 }, (_unused, at) => `Line ${String(at)} of a document about ships and harbours. `).join("");
const engineAway: ServiceFailure = { code: "engine_unavailable", status: 503, message: "away", retryable: true };

let alice = new SessionClient();
beforeEach(() => {
  engine.use({});
  alice = new SessionClient();
});

async function until(id: string, stage: string): Promise<Session> {
  await expect.poll(async () => (await alice.facts(id)).ingest?.stage).toBe(stage);
  return await alice.facts(id);
}

async function alarm(id: string): Promise<void> {
  await runDurableObjectAlarm(await sessionObject(alice, id));
}

async function answers(id: string): Promise<void> {
  const { id: session } = await alice.create({ from: { context_id: id } });
  expect((await alice.say(session, "Ships?")).text).toBe(await oracle([{ role: "system", content: documentText }, user("Ships?")]));
}

test("keep one state, however many parts they were read in", async () => {
  const { id } = await alice.createContext();
  await alice.upload(id, "offset=0&last=true", documentText);
  await until(id, "ready");
  expect(engine.calls.length).toBeGreaterThan(1);
  expect(await owners(alice)).toEqual([ownerOf(id, 0)]);
  await answers(id);
});

test("tell how far a part is read before it is kept", async () => {
  const { id } = await alice.createContext();
  engine.use({ readingMilliseconds: 300 });
  const events = alice.call("GET", `/v1/contexts/${id}/events`).then((response) => response.text());
  await alice.upload(id, "offset=0&last=true", documentText);
  const told = (await events)
    .split("\n")
    .filter((line) => line.startsWith("data: {"))
    .map((line) => (JSON.parse(line.slice("data: ".length)) as Session).ingest?.read_tokens ?? 0);
  const parts = engine.calls.reduce<number[]>((ends, { prompt }) => [...ends, (ends.at(-1) ?? 0) + prompt.length], []);
  expect(told).toEqual(told.toSorted((left, right) => left - right));
  expect(told.filter((tokens) => tokens > 0 && !parts.includes(tokens))).not.toEqual([]);
  expect(told.at(-1)).toBe(parts.at(-1));
});

test("wait for an engine that is away, also where they are renamed meanwhile", async () => {
  const { id } = await alice.createContext();
  engine.use({ refuse: engineAway });
  expect((await alice.upload(id, "offset=0&last=true", documentText)).status).toBe(200);
  await alice.call("PATCH", `/v1/contexts/${id}`, { name: "Book" });
  await expect
    .poll(() => inSession(alice, id, async ({ storage }) => ((await storage.getAlarm()) ?? Infinity) - Date.now()))
    .toBeLessThan(60_000);
  engine.use({});
  await alarm(id);
  await until(id, "ready");
  await answers(id);
});

test("go on where a lost object was", async () => {
  const { id } = await alice.createContext();
  engine.use({ delayMilliseconds: 1 });
  await alice.upload(id, `offset=0`, documentText.slice(0, 100));
  await lose(alice, id);
  await alice.upload(id, "offset=100&last=true", documentText.slice(100));
  await lose(alice, id);
  engine.use({});
  await alarm(id);
  await until(id, "ready");
  await answers(id);
});

test("that an engine refuses say why, and go on when they are asked to", async () => {
  const { id } = await alice.createContext();
  engine.use({ refuse: { ...engineAway, code: "model_invalid", message: "broken", retryable: false } });
  await alice.upload(id, "offset=0&last=true", documentText);
  const failed = await until(id, "failed");
  expect(failed.ingest).toMatchObject({ error: { code: "model_invalid" } });
  const offset = `offset=${String(documentText.length)}`;
  expect(await failure(await alice.upload(id, offset, "more"))).toMatchObject({ code: "conflict" });
  engine.use({});
  expect((await alice.upload(id, offset, "")).status).toBe(200);
  await until(id, "ready");
  await answers(id);
});

test("that are deleted while they are read leave nothing", async () => {
  const { id } = await alice.createContext();
  engine.use({ delayMilliseconds: 5 });
  await alice.upload(id, "offset=0&last=true", documentText);
  expect((await alice.call("DELETE", `/v1/contexts/${id}`)).status).toBe(204);
  await expect.poll(() => engine.running).toBe(0);
  expect(await owners(alice)).toEqual([]);
  expect((await alice.call("GET", `/v1/contexts/${id}`)).status).toBe(404);
});

test("fail at once where no state can be kept, with the variable that is missing, and are not tried again", async () => {
  await withoutStateKeys(alice);
  const { id } = await alice.createContext();
  await alice.upload(id, "offset=0&last=true", documentText);
  const { ingest } = await until(id, "failed");
  expect(ingest?.error).toMatchObject({
    code: "configuration_invalid",
    message: "STATE_KEYS must be set where states are kept; it is not set.",
  });
  const asked = engine.calls.length;
  expect(asked).toBe(1);
  await alarm(id);
  expect(engine.calls.length).toBe(asked);
});

test("are ready where the store can't release what is no longer needed, which is logged", async () => {
  const { id } = await alice.createContext();
  const lines = spyOnLog();
  vi.spyOn(TenantObject.prototype, "release").mockRejectedValue(new Error("lost"));
  await alice.upload(id, "offset=0&last=true", documentText);
  await until(id, "ready");
  vi.restoreAllMocks();
  expect(lines.filter((line) => line.includes("document_not_read"))).toEqual([]);
  expect(lines.join("\n")).toContain(`"event":"snapshot_store_failed","session":"${id}","step":"release"`);
});
