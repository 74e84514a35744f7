/** Transcripts up to what goes from one object to another in one call, and beyond: read in pages, and refused by name. */
import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import type { SessionEnvironment } from "../../../../workers/session/environment.ts";
import { sessionAt } from "../../../../workers/session/sessions/find-session.ts";
import { emptySessionBytes, mostSessionBytes } from "../../../../workers/session/sessions/limits.ts";
import { newRecord } from "../../../../workers/session/sessions/session-keeper.ts";
import { linesOfTurns } from "../../../../workers/session/sessions/turn-lines.ts";
import type { StoredTurn } from "../../../../workers/session/sessions/turn-rows.ts";
import { failure, request } from "../../support/gateway-client.ts";
import { engine } from "../../support/gateway-worker.ts";
import { SessionClient, type Message, type Session } from "../../support/session-client.ts";
import { tenantOf } from "../../support/stores.ts";
import { tinyManifest, versionOf } from "../../support/tiny-tokenizer.ts";
import { exchange, inSession, lose } from "./support.ts";

const bindings = env as unknown as SessionEnvironment;
const mebibyte = 1 << 20;
/** In a string each of its characters takes two bytes, because one needs them. */
const long = `ж${"x".repeat(4 * mebibyte - 200)}`;
const patience = { timeout: 120_000 };

let alice = new SessionClient();
beforeEach(() => {
  engine.use({});
  alice = new SessionClient();
});

const turn = (number: number, content: string, tokens: number): StoredTurn => ({
  ...exchange(number, tokens, content),
  ...{ stream: "", snapshot: null, snapshotTokens: 0 },
});

/** A session of these turns, each of so many tokens, without a state. */
async function made(contents: readonly string[], tokensEach = 1): Promise<string> {
  const tenant = await tenantOf(alice.key);
  const record = await newRecord(bindings, tenant, "session", versionOf(tinyManifest), "Long");
  const turns = linesOfTurns(contents.map((content, at) => turn(at + 1, content, (at + 1) * tokensEach)));
  const tokens = new Uint32Array(contents.length * tokensEach).fill(40);
  const outcome = await sessionAt(bindings, tenant, record.id).create(record, { turns, tokens });
  if (!outcome.ok) throw new Error(outcome.failure.message);
  return record.id;
}

interface Page {
  readonly data: readonly { readonly number: number; readonly messages: readonly Message[] }[];
  readonly has_more: boolean;
}

async function pages(session: string): Promise<Page[]> {
  const all: Page[] = [];
  for (let after = 0; ;) {
    const response = await alice.call("GET", `/v1/sessions/${session}/turns?limit=100&after=${String(after)}`);
    expect(response.status).toBe(200);
    const page = await response.json<Page>();
    all.push(page);
    if (!page.has_more) return all;
    after = page.data.at(-1)?.number ?? 0;
  }
}

const isWhole = (messages: readonly Message[]) => messages[0]?.content === long && messages[1]?.content === "Yes.";

test("28 MiB are read in pages, forked, shared and gone on from as short ones are", patience, async () => {
  const id = await made(Array.from({ length: 7 }, () => long));
  const read = await pages(id);
  expect(read.map(({ data }) => data.map(({ number }) => number))).toEqual([[1], [2], [3], [4], [5], [6], [7]]);
  expect(read.flatMap(({ data }) => data.map(({ messages }) => isWhole(messages)))).toEqual(Array.from({ length: 7 }, () => true));
  const fork = await alice.create({ from: { session_id: id } });
  expect(fork).toMatchObject({ turns: 7, parent: { session_id: id, turn: 7 } });
  const share = await alice.call("POST", `/v1/sessions/${fork.id}/share`, {});
  const { id: link } = await share.json<{ id: string }>();
  const shared = await (await request(`/v1/shares/${link}`)).json<{ name: string; tokens: number; turns: Page["data"] }>();
  expect(shared).toMatchObject({ name: "Long", tokens: 7 });
  expect(shared.turns.map(({ number, messages }) => [number, isWhole(messages)])).toEqual(
    [1, 2, 3, 4, 5, 6, 7].map((number) => [number, true]),
  );
  const bob = new SessionClient();
  expect(await bob.create({ share: link })).toMatchObject({ turns: 7 });
  await alice.say(fork.id, "Why?");
  expect(await alice.facts(fork.id)).toMatchObject({ turns: 8 });
});

test(
  "at the edge a turn is refused with what the session holds; beyond it a copy is, and reading and rewinding still work",
  patience,
  async () => {
    const full = "x".repeat(mostSessionBytes - 7 * 4 * mebibyte - 50_000);
    const id = await made([...Array.from({ length: 7 }, () => "x".repeat(4 * mebibyte)), full]);
    const held = await inSession(alice, id, ({ storage }) => storage.sql.databaseSize);
    expect(held).toBeGreaterThan(mostSessionBytes - emptySessionBytes);
    const refusal = await alice.say(id, "Why?").catch((cause: unknown) => String(cause));
    expect(refusal).toContain("context_length_exceeded");
    expect(refusal).toContain(
      `'session_id': a session may hold ${String(mostSessionBytes)} bytes of transcript and tokens; it holds ${String(held)}, and`,
    );
    await inSession(alice, id, ({ storage }) => {
      storage.sql.exec(
        "INSERT INTO turns SELECT 9, ?, 8, finish, created, stream, snapshot, snapshot_tokens FROM turns WHERE number = 8",
        JSON.stringify([{ role: "user", content: "y".repeat(mebibyte) }]),
      );
    });
    for (const path of ["share", "export"]) {
      const response = await alice.call("POST", `/v1/sessions/${id}/${path}`, {});
      expect([path, response.status]).toEqual([path, 400]);
      expect(await failure(response)).toMatchObject({ code: "context_length_exceeded", param: "session_id" });
    }
    expect(await alice.create({ from: { session_id: id, turn: 8 } })).toMatchObject({ turns: 8 });
    expect((await pages(id)).flatMap(({ data }) => data).length).toBe(9);
    expect(await (await alice.call("POST", `/v1/sessions/${id}/rewind`, { turn: 1 })).json<Session>()).toMatchObject({ turns: 1 });
    await alice.say(id, "Why?");
  },
);

test("a long turn is given the state that its conversation was read into, and stays whole", patience, async () => {
  const id = await made(["Short.", long], 150);
  // More than is read at once.
  await alice.say(id, "Why?");
  expect(engine.calls.length).toBeGreaterThan(2);
  await lose(alice, id);
  const states = await inSession(alice, id, ({ storage }) =>
    storage.sql.exec("SELECT number, snapshot_tokens FROM turns WHERE snapshot IS NOT NULL ORDER BY number").toArray(),
  );
  expect(states).toEqual([
    { number: 2, snapshot_tokens: 300 },
    { number: 3, snapshot_tokens: expect.any(Number) as number },
  ]);
  const turns = (await pages(id)).flatMap(({ data }) => data);
  expect(turns.map(({ number, messages }) => [number, isWhole(messages)])).toEqual([
    [1, false],
    [2, true],
    [3, false],
  ]);
});
