/** Files that were sealed with a key that opens, and are not to be believed for that. */
import { beforeEach, describe, expect, test } from "vitest";
import { identityOf } from "../../../../workers/session/identity.ts";
import { newPassphraseKey } from "../../../../workers/session-file/passphrase-key.ts";
import { sealSessionFile } from "../../../../workers/session-file/session-file.ts";
import { failure, request, type ErrorAnswer } from "../../support/gateway-client.ts";
import { assistant, greedy, oracle, said, SessionClient, user, type Message, type Session } from "../../support/session-client.ts";
import { tinyManifest, versionOf } from "../../support/tiny-tokenizer.ts";
import { exchange, inSession, lose } from "./support.ts";

const passphrase = "sesam";
const longestRowBytes = 1 << 20;

let alice = new SessionClient();
beforeEach(() => {
  alice = new SessionClient();
});

async function imported(turns: readonly object[], stateTokens = 0): Promise<Response> {
  const { key, sealed } = await newPassphraseKey(passphrase);
  const tokens = Uint32Array.from({ length: turns.length }, () => 1);
  const header = { ...identityOf(versionOf(tinyManifest)), tokens: tokens.length, created: 1_700_000_000, sealed };
  const file = sealSessionFile({ header, transcript: { name: "", turns, stateTokens }, tokens, state: null }, key);
  const headers = { ...alice.headers, "x-spikingbrain-passphrase": passphrase };
  return await request("/v1/sessions/import", { method: "POST", headers, body: await new Response(file).arrayBuffer() });
}

describe("numbers that no session has are refused by name", () => {
  test.each([
    ["a turn near 2^53", [exchange(2 ** 53 - 1, 1)], "turns.0.number"],
    ["a turn beyond any conversation", [exchange(1, 1), exchange(5_000_000, 2)], "turns.1.number"],
    ["a gap", [exchange(1, 1), exchange(3, 2)], "turns.1.number"],
    ["the same turn twice", [exchange(1, 1), exchange(1, 2)], "turns.1.number"],
    ["a first turn that is not the first", [exchange(2, 1)], "turns.0.number"],
    ["more tokens than any conversation", [exchange(1, 2 ** 40)], "turns.0.tokens"],
    ["a time that no calendar has", [{ ...exchange(1, 1), created: 2 ** 52 }], "turns.0.created"],
    ["a time before there was any", [{ ...exchange(1, 1), created: -1 }], "turns.0.created"],
  ])("%s", async (_name, turns, field) => {
    const response = await imported(turns);
    expect(response.status).toBe(400);
    const { code, message }: ErrorAnswer["error"] = await failure(response);
    expect(code).toBe("snapshot_invalid");
    expect(message).toContain(field);
    expect((await (await alice.call("GET", "/v1/sessions")).json<{ data: Session[] }>()).data).toEqual([]);
  });

  test("a state that has read more than a conversation may have", async () => {
    expect((await failure(await imported([exchange(1, 1)], 2 ** 40))).message).toContain("stateTokens");
  });
});

test("speakers' names go with a conversation into its file, and come back out of it", async () => {
  const { id } = await alice.create();
  const named = (name: string, content: string) => ({ role: "user", name, content });
  const say = async (session: string, ...messages: readonly object[]) =>
    await said(await alice.call("POST", "/v1/chat/completions", { ...greedy, session_id: session, messages }));
  const first = await say(id, named("Ann", "We are two, and both of us have questions for you."), named("Bob", "Who are you?"));
  const exported = await (await alice.call("POST", `/v1/sessions/${id}/export`, {})).arrayBuffer();
  expect(new DataView(exported).getUint32(4, true)).toBe(3);
  const copied = await request("/v1/sessions/import", { method: "POST", headers: alice.headers, body: exported });
  const copy = (await copied.json<Session>()).id;
  const turnsOf = async (session: string) =>
    (await (await alice.call("GET", `/v1/sessions/${session}/turns`)).json<{ data: { messages: object[] }[] }>()).data.map(
      ({ messages }) => messages,
    );
  expect(await turnsOf(copy)).toEqual(await turnsOf(id));
  expect((await turnsOf(copy))[0]?.[1]).toEqual(named("Bob", "Who are you?"));
  const next = await say(copy, named("Ann", "And?"));
  expect(next.cached).toBeGreaterThan(40);
  const spoken = [user("Ann: We are two, and both of us have questions for you."), user("Bob: Who are you?"), assistant(first.text)];
  expect(next.text).toBe(await oracle([...spoken, user("Ann: And?")]));
});

test("a turn of 3 MB is kept in rows that every runtime holds, and is read, forked and taken back whole", async () => {
  const long = "ä".repeat(3 << 19);
  const response = await imported([exchange(1, 1), exchange(2, 2, long)]);
  expect(response.status).toBe(201);
  const { id } = await response.json<Session>();
  await lose(alice, id);
  const fork = await alice.create({ from: { session_id: id } });
  for (const session of [id, fork.id]) {
    const { data } = await (await alice.call("GET", `/v1/sessions/${session}/turns`)).json<{ data: { messages: Message[] }[] }>();
    expect(data.map(({ messages }) => messages[0]?.content === long)).toEqual([false, true]);
    expect(Math.max(...(await rowBytes(session)))).toBeLessThanOrEqual(longestRowBytes);
  }
  expect((await rowBytes(id)).reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThan(3 << 20);
  expect((await alice.call("POST", `/v1/sessions/${id}/rewind`, { turn: 1 })).status).toBe(200);
  expect((await rowBytes(id)).reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(1_000);
});

async function rowBytes(session: string): Promise<number[]> {
  const sizes = "SELECT length(CAST(messages AS BLOB)) AS size FROM turns UNION ALL SELECT length(bytes) FROM turn_messages";
  return await inSession(alice, session, ({ storage }) => Array.from(storage.sql.exec<{ size: number }>(sizes), ({ size }) => size));
}
