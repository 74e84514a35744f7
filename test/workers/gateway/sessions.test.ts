/** Conversations that live at the edge, over HTTP. The oracle is the whole conversation, sent without a key. */
import { beforeEach, describe, expect, test } from "vitest";
import { failure, json, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { plainLetters } from "../support/plain-letters.ts";

interface Message {
  readonly role: string;
  readonly content: string;
}

interface Session {
  readonly id: string;
  readonly name: string;
  readonly tokens: number;
  readonly turns: number;
  readonly state_bytes: number;
  readonly tier: string;
  readonly parent: { readonly session_id: string; readonly turn: number } | null;
  readonly running: string | null;
  readonly ingest: {
    readonly stage: string;
    readonly received_bytes: number;
    readonly tokens: number;
    readonly read_tokens: number;
  } | null;
}

let alice = "";
beforeEach(() => {
  engine.use({});
  alice = `sk-${crypto.randomUUID()}`;
});

const base: Json = { model: "tiny", temperature: 0, max_tokens: 10, ignore_eos: true, logit_bias: plainLetters };
const as = (key: string) => ({ authorization: `Bearer ${key}` });
const call = (method: string, path: string, body?: Json, key = alice) =>
  request(path, body === undefined ? { method, headers: as(key) } : { ...json(body, as(key)), method });
const user = (content: string): Message => ({ role: "user", content });

async function create(body: Json = {}, key = alice): Promise<Session> {
  const response = await call("POST", "/v1/sessions", { model: "tiny", ...body }, key);
  if (response.status !== 201) throw new Error(await response.text());
  return await response.json();
}

async function facts(id: string, key = alice): Promise<Session> {
  return await (await call("GET", `/v1/sessions/${id}`, undefined, key)).json();
}

async function say(session: string, content: string, body: Json = {}, key = alice) {
  const messages = [user(content)];
  const response = await call("POST", "/v1/chat/completions", { ...base, ...body, session_id: session, messages }, key);
  const answer = await response.json<{
    choices: { message: { content: string } }[];
    usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
  }>();
  if (response.status !== 200) throw new Error(JSON.stringify(answer));
  return {
    text: answer.choices[0]?.message.content ?? "",
    prompt: answer.usage.prompt_tokens,
    cached: answer.usage.prompt_tokens_details.cached_tokens,
    session: response.headers.get("x-spikingbrain-session") ?? "",
  };
}

async function oracle(messages: readonly Message[], body: Json = {}): Promise<string> {
  const response = await request("/v1/chat/completions", json({ ...base, ...body, messages }));
  if (response.status !== 200) throw new Error(await response.text());
  const { choices } = await response.json<{ choices: { message: { content: string } }[] }>();
  return choices[0]?.message.content ?? "";
}

/** Says these one after another; the conversation as a client would remember it. */
async function talk(session: string, ...contents: readonly string[]): Promise<Message[]> {
  const messages: Message[] = [];
  for (const content of contents) {
    const { text } = await say(session, content);
    messages.push(user(content), { role: "assistant", content: text });
  }
  return messages;
}

const LONG = "Tell me of the sea, and of ";

describe("turns", () => {
  test("send what is new, read what is new, and answer as if all had been sent", async () => {
    const { id } = await create({ name: "Sea" });
    const messages: Message[] = [];
    for (let turn = 0; turn < 6; turn++) {
      messages.push(user(`${LONG}${String(turn)}`));
      const answer = await say(id, `${LONG}${String(turn)}`);
      expect(answer.text).toBe(await oracle(messages));
      expect(answer.session).toBe(id);
      if (turn > 0) expect(answer.prompt - answer.cached).toBeLessThan(LONG.length + 60);
      messages.push({ role: "assistant", content: answer.text });
    }
    const session = await facts(id);
    expect(session).toMatchObject({ name: "Sea", turns: 6, tier: "hot", parent: null, running: null });
    const { data } = await (await call("GET", `/v1/sessions/${id}/turns`)).json<{ data: { messages: Message[]; finish: string }[] }>();
    expect(data.flatMap(({ messages: said }) => said)).toEqual(messages);
  });

  test("after a stop string, and after none was generated, go on exactly", async () => {
    const { id } = await create();
    const messages: Message[] = [user(LONG)];
    const first = await say(id, LONG, { stop: ["a", "b", "c", "f"] });
    expect(first.text).toBe(await oracle(messages, { stop: ["a", "b", "c", "f"] }));
    messages.push({ role: "assistant", content: first.text }, user("And?"));
    expect((await say(id, "And?")).text).toBe(await oracle(messages));
  });

  test("two at once: one has the session, the other a fork of it", async () => {
    const { id } = await create();
    const before = await talk(id, LONG);
    engine.use({ delayMilliseconds: 3 });
    const [left, right] = await Promise.all([say(id, "left?"), say(id, "right?")]);
    engine.use({});
    expect(left.text).toBe(await oracle([...before, user("left?")]));
    expect(right.text).toBe(await oracle([...before, user("right?")]));
    const other = [left, right].map(({ session }) => session).find((session) => session !== id);
    expect(new Set([left.session, right.session]).size).toBe(2);
    expect(await facts(other ?? "")).toMatchObject({ turns: 2, parent: { session_id: id, turn: 1 } });
    expect(await facts(id)).toMatchObject({ turns: 2 });
  });

  test.each<[string, Json, string]>([
    ["several choices", { n: 2, messages: [user("a")] }, "n"],
    ["no user's message at the end", { messages: [{ role: "system", content: "a" }] }, "messages"],
    ["an answer among what is new", { messages: [{ role: "assistant", content: "a" }, user("b")] }, "messages"],
  ])("%s: refused by name", async (_name, body, param) => {
    const { id } = await create();
    await say(id, "Hello?");
    const response = await call("POST", "/v1/chat/completions", { ...base, session_id: id, ...body });
    expect(response.status).toBe(400);
    expect(await failure(response)).toMatchObject({ param });
  });
});

describe("forks and rewinds", () => {
  test("go on from any turn's end", async () => {
    const { id } = await create();
    const messages = await talk(id, LONG, `${LONG}1`, `${LONG}2`, `${LONG}3`, `${LONG}4`);
    for (const turn of [1, 3, 5]) {
      const fork = await create({ from: { session_id: id, turn } });
      expect(fork).toMatchObject({ turns: turn, parent: { session_id: id, turn } });
      expect((await say(fork.id, "Why?")).text).toBe(await oracle([...messages.slice(0, 2 * turn), user("Why?")]));
    }
    const rewound = await call("POST", `/v1/sessions/${id}/rewind`, { turn: 2 });
    expect(await rewound.json()).toMatchObject({ turns: 2 });
    expect((await say(id, "How?")).text).toBe(await oracle([...messages.slice(0, 4), user("How?")]));
    expect((await failure(await call("POST", `/v1/sessions/${id}/rewind`, { turn: 9 }))).param).toBe("turn");
  });

  test("a fork outlives what it came from", async () => {
    const { id } = await create();
    const messages = await talk(id, LONG, `${LONG}1`);
    const { id: fork } = await (await call("POST", `/v1/sessions/${id}/fork`, { name: "Mine" })).json<Session>();
    expect((await call("DELETE", `/v1/sessions/${id}`)).status).toBe(204);
    expect((await call("GET", `/v1/sessions/${id}`)).status).toBe(404);
    const answer = await say(fork, "Why?");
    expect(answer.text).toBe(await oracle([...messages, user("Why?")]));
    expect(answer.cached).toBeGreaterThan(0);
  });
});

test("lists are a key's own, latest first, in pages", async () => {
  const ids: string[] = [];
  for (const name of ["one", "two", "three"]) ids.push((await create({ name })).id);
  await create({ name: "another's" }, "sk-somebody-else");
  const first = await (await call("GET", "/v1/sessions?limit=2")).json<{ data: Session[]; has_more: boolean }>();
  const rest = await (
    await call("GET", `/v1/sessions?limit=2&after=${first.data[1]?.id ?? ""}`)
  ).json<{ data: Session[]; has_more: boolean }>();
  expect([...first.data, ...rest.data].map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  expect([first.has_more, rest.has_more]).toEqual([true, false]);
});

test("another's session, and one that never was, are the same to everybody", async () => {
  const { id } = await create();
  await say(id, LONG);
  for (const [method, path, body] of [
    ["GET", "", undefined],
    ["GET", "/turns", undefined],
    ["PATCH", "", { name: "x" }],
    ["DELETE", "", undefined],
    ["POST", "/rewind", { turn: 0 }],
    ["POST", "/fork", {}],
    ["POST", "/share", {}],
  ] as const) {
    const answers = [await call(method, `/v1/sessions/${id}${path}`, body, "sk-mallory")];
    answers.push(await call(method, `/v1/sessions/sess_${"0".repeat(32)}${path}`, body, "sk-mallory"));
    expect(
      answers.map(({ status }) => status),
      `${method} ${path}`,
    ).toEqual([404, 404]);
    const [theirs, unknown] = await Promise.all(answers.map(failure));
    expect(theirs).toEqual(unknown);
  }
  await expect(say(id, "Hello?", {}, "sk-mallory")).rejects.toThrow("session_not_found");
  expect(await facts(id)).toMatchObject({ turns: 1 });
});

test("without a key there are no sessions", async () => {
  const response = await request("/v1/sessions", json({ model: "tiny" }));
  expect(response.status).toBe(401);
});

describe("shares", () => {
  test("show what was said, can be gone on from, and end", async () => {
    const { id } = await create({ name: "Sea" });
    const messages = await talk(id, LONG, `${LONG}1`);
    const { id: share } = await (await call("POST", `/v1/sessions/${id}/share`, { expires_in: 60 })).json<{ id: string }>();
    await say(id, "This came later.");
    const response = await request(`/v1/shares/${share}`);
    expect(response.headers.get("x-robots-tag")).toBe("noindex");
    const shared = await response.json<{ name: string; turns: { messages: Message[] }[] }>();
    expect(shared.name).toBe("Sea");
    expect(shared.turns.flatMap((turn) => turn.messages)).toEqual(messages);
    const bob = `sk-${crypto.randomUUID()}`;
    const mine = await create({ share }, bob);
    const answer = await say(mine.id, "Why?", {}, bob);
    expect(answer.text).toBe(await oracle([...messages, user("Why?")]));
    expect(answer.cached).toBeGreaterThan(0);
    expect((await call("DELETE", `/v1/shares/${share}`, undefined, bob)).status).toBe(404);
    expect((await call("DELETE", `/v1/shares/${share}`)).status).toBe(204);
    expect((await request(`/v1/shares/${share}`)).status).toBe(404);
    expect((await say(mine.id, "And?", {}, bob)).cached).toBeGreaterThan(0);
  });
});

describe("contexts", () => {
  const TEXT = Array.from({ length: 4 }, (_unused, at) => `Line ${String(at)} of a naïve document, 你好, about ships and harbours. `).join(
    "",
  );

  async function until(id: string, stage: string): Promise<Session> {
    await expect.poll(async () => (await facts(id)).ingest?.stage, { timeout: 20_000 }).toBe(stage);
    return await facts(id);
  }

  test("are read once, in pieces of any size, and asked often", async () => {
    const { id } = await (await call("POST", "/v1/contexts", { model: "tiny", name: "Book" })).json<Session>();
    const bytes = new TextEncoder().encode(TEXT);
    let offset = 0;
    for (const size of [1, 100, 7, 101, bytes.length]) {
      const part = bytes.slice(offset, offset + size);
      const last = offset + size >= bytes.length;
      const path = `/v1/contexts/${id}/text?offset=${String(offset)}${last ? "&last=true" : ""}`;
      const response = await request(path, { method: "PUT", headers: { ...as(alice), "content-type": "text/plain" }, body: part });
      if (response.status !== 200) throw new Error(await response.text());
      offset += part.length;
      expect((await response.json<Session>()).ingest?.received_bytes).toBe(offset);
    }
    const context = await until(id, "ready");
    expect(context.ingest?.read_tokens).toBe(context.tokens);
    for (const question of ["What is line 7?", "And ships?"]) {
      const { id: session } = await create({ from: { context_id: id } });
      const answer = await say(session, question);
      expect(answer.text).toBe(await oracle([{ role: "system", content: TEXT }, user(question)]));
      expect(answer.cached).toBe(context.tokens);
      const more = await say(session, "More?");
      expect(more.text).toBe(
        await oracle([{ role: "system", content: TEXT }, user(question), { role: "assistant", content: answer.text }, user("More?")]),
      );
    }
  });

  test("tell how far they are, and refuse what does not fit", async () => {
    const { id } = await (await call("POST", "/v1/contexts", { model: "tiny" })).json<Session>();
    const put = (query: string, body: BodyInit) =>
      request(`/v1/contexts/${id}/text?${query}`, { method: "PUT", headers: { ...as(alice), "content-type": "text/plain" }, body });
    expect((await put("offset=5", "abc")).status).toBe(409);
    expect((await put("offset=0", new Uint8Array([0x61, 0xff, 0x62]))).status).toBe(400);
    await expect(create({ from: { context_id: id } })).rejects.toThrow("not ready");
    await put("offset=0&last=true", TEXT);
    const events = await (await call("GET", `/v1/contexts/${id}/events`)).text();
    expect(events.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(events).toContain('"stage":"ready"');
    expect((await put("offset=0", "more")).status).toBe(409);
    expect((await call("GET", `/v1/contexts/${id}`, undefined, "sk-mallory")).status).toBe(404);
  });
});

describe("files", () => {
  const exported = async (id: string, body: Json, key = alice) =>
    new Uint8Array(await (await call("POST", `/v1/sessions/${id}/export`, body, key)).arrayBuffer());
  const imported = (file: Uint8Array<ArrayBuffer>, key = alice, passphrase?: string) =>
    request("/v1/sessions/import", {
      method: "POST",
      headers: { ...as(key), ...(passphrase === undefined ? {} : { "x-spikingbrain-passphrase": encodeURIComponent(passphrase) }) },
      body: file,
    });

  test("go on elsewhere, under a passphrase with whoever is told it", async () => {
    const { id } = await create({ name: "Sea" });
    const messages = await talk(id, LONG, `${LONG}1`);
    const file = await exported(id, { passphrase: "sesam öffne dich" });
    expect(new TextDecoder().decode(file)).not.toContain("Sea");
    const bob = `sk-${crypto.randomUUID()}`;
    const mine = await (await imported(file, bob, "sesam öffne dich")).json<Session>();
    expect(mine).toMatchObject({ name: "Sea", turns: 2, tier: "hot" });
    const answer = await say(mine.id, "Why?", {}, bob);
    expect(answer.text).toBe(await oracle([...messages, user("Why?")]));
    expect(answer.cached).toBeGreaterThan(0);
    for (const passphrase of ["sesam", undefined]) {
      const refused = await imported(file, bob, passphrase);
      expect(refused.status).toBe(400);
      expect(await failure(refused)).toMatchObject({ code: "snapshot_sealed" });
    }
    const halfEncoded = await request("/v1/sessions/import", {
      method: "POST",
      headers: { ...as(bob), "x-spikingbrain-passphrase": "%E4" },
      body: file,
    });
    expect(await failure(halfEncoded)).toMatchObject({ param: "x-spikingbrain-passphrase" });
  });

  test("under a tenant's key are nobody else's, and hold as a whole or not at all", async () => {
    const { id } = await create();
    await talk(id, LONG);
    const file = await exported(id, {});
    expect((await imported(file)).status).toBe(201);
    expect(await failure(await imported(file, "sk-mallory"))).toMatchObject({ code: "snapshot_sealed" });
    const count = async () => (await (await call("GET", "/v1/sessions")).json<{ data: Session[] }>()).data.length;
    const before = await count();
    const flipped = (at: number) => file.map((byte, index) => (index === at ? byte ^ 1 : byte));
    const spoilt = [file.slice(0, -1), file.slice(0, file.length / 2), new Uint8Array([...file, 0]), new Uint8Array()];
    for (let at = 0; at < file.length; at += Math.ceil(file.length / 40)) spoilt.push(flipped(at));
    for (const one of spoilt) {
      const refused = await imported(one);
      expect([400, 404]).toContain(refused.status);
      await refused.text();
    }
    expect(await count()).toBe(before);
  });
});
