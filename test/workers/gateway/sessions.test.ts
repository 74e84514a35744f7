/** Conversations that live at the edge, over HTTP. The oracle is the whole conversation, sent without a key. */
import { beforeEach, describe, expect, test } from "vitest";
import { failure, json, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { assistant, greedy, oracle, SessionClient, user, type Message, type Session } from "../support/session-client.ts";

let alice = new SessionClient();
beforeEach(() => {
  engine.use({});
  alice = new SessionClient();
});

const longText = "Tell me of the sea, and of ";

describe("turns", () => {
  test("send what is new, read what is new, and answer as if all had been sent", async () => {
    const { id } = await alice.create({ name: "Sea" });
    const messages: Message[] = [];
    for (let turn = 0; turn < 6; turn++) {
      messages.push(user(`${longText}${String(turn)}`));
      const answer = await alice.say(id, `${longText}${String(turn)}`);
      expect(answer.text).toBe(await oracle(messages));
      expect(answer.session).toBe(id);
      if (turn > 0) expect(answer.prompt - answer.cached).toBeLessThan(longText.length + 60);
      messages.push(assistant(answer.text));
    }
    const session = await alice.facts(id);
    expect(session).toMatchObject({ name: "Sea", turns: 6, tier: "hot", parent: null, running: null });
    const { data } = await (
      await alice.call("GET", `/v1/sessions/${id}/turns`)
    ).json<{ data: { messages: Message[]; finish: string }[] }>();
    expect(data.flatMap(({ messages: said }) => said)).toEqual(messages);
  });

  test("after a stop string, and after none was generated, go on exactly", async () => {
    const { id } = await alice.create();
    const messages: Message[] = [user(longText)];
    const first = await alice.say(id, longText, { stop: ["a", "b", "c", "f"] });
    expect(first.text).toBe(await oracle(messages, { stop: ["a", "b", "c", "f"] }));
    messages.push(assistant(first.text), user("And?"));
    expect((await alice.say(id, "And?")).text).toBe(await oracle(messages));
  });

  test("two at once: one has the session, the other a fork of it", async () => {
    const { id } = await alice.create();
    const before = await alice.talk(id, longText);
    engine.use({ delayMilliseconds: 3 });
    const [left, right] = await Promise.all([alice.say(id, "left?"), alice.say(id, "right?")]);
    engine.use({});
    expect(left.text).toBe(await oracle([...before, user("left?")]));
    expect(right.text).toBe(await oracle([...before, user("right?")]));
    const other = [left, right].map(({ session }) => session).find((session) => session !== id);
    expect(new Set([left.session, right.session]).size).toBe(2);
    expect(await alice.facts(other ?? "")).toMatchObject({ turns: 2, parent: { session_id: id, turn: 1 } });
    expect(await alice.facts(id)).toMatchObject({ turns: 2 });
  });

  test.each<[string, Json, string]>([
    ["several choices", { n: 2, messages: [user("a")] }, "n"],
    ["no user's message at the end", { messages: [{ role: "system", content: "a" }] }, "messages"],
    ["an answer among what is new", { messages: [{ role: "assistant", content: "a" }, user("b")] }, "messages"],
  ])("%s: refused by name", async (_name, body, param) => {
    const { id } = await alice.create();
    await alice.say(id, "Hello?");
    const response = await alice.call("POST", "/v1/chat/completions", { ...greedy, session_id: id, ...body });
    expect(response.status).toBe(400);
    expect(await failure(response)).toMatchObject({ param });
  });
});

describe("forks and rewinds", () => {
  test("what can't be forked is named as the request has it", async () => {
    const { id } = await alice.create();
    const refused = async (body: Json) => {
      const response = await alice.call("POST", "/v1/sessions", { model: "tiny", ...body });
      return [response.status, (await failure(response)).param];
    };
    expect(await refused({ from: { session_id: id, turn: 9 } })).toEqual([400, "from.turn"]);
    expect(await refused({ from: { session_id: "sess_none" } })).toEqual([404, "from.session_id"]);
    expect(await refused({ from: { context_id: "none" } })).toEqual([404, "from.context_id"]);
    expect(await refused({ share: "share_none" })).toEqual([404, "share"]);
    expect(await refused({ model: "none" })).toEqual([404, "model"]);
    const fork = await alice.call("POST", `/v1/sessions/${id}/fork`, { turn: 9 });
    expect([fork.status, await failure(fork)]).toMatchObject([400, { param: "turn" }]);
  });

  test("go on from any turn's end", async () => {
    const { id } = await alice.create();
    const messages = await alice.talk(id, longText, `${longText}1`, `${longText}2`, `${longText}3`, `${longText}4`);
    for (const turn of [1, 3, 5]) {
      const fork = await alice.create({ from: { session_id: id, turn } });
      expect(fork).toMatchObject({ turns: turn, parent: { session_id: id, turn } });
      expect((await alice.say(fork.id, "Why?")).text).toBe(await oracle([...messages.slice(0, 2 * turn), user("Why?")]));
    }
    const rewound = await alice.call("POST", `/v1/sessions/${id}/rewind`, { turn: 2 });
    expect(await rewound.json()).toMatchObject({ turns: 2 });
    expect((await alice.say(id, "How?")).text).toBe(await oracle([...messages.slice(0, 4), user("How?")]));
    expect((await failure(await alice.call("POST", `/v1/sessions/${id}/rewind`, { turn: 9 }))).param).toBe("turn");
  });

  test("a fork outlives what it came from", async () => {
    const { id } = await alice.create();
    const messages = await alice.talk(id, longText, `${longText}1`);
    const { id: fork } = await (await alice.call("POST", `/v1/sessions/${id}/fork`, { name: "Mine" })).json<Session>();
    expect((await alice.call("DELETE", `/v1/sessions/${id}`)).status).toBe(204);
    expect((await alice.call("GET", `/v1/sessions/${id}`)).status).toBe(404);
    const answer = await alice.say(fork, "Why?");
    expect(answer.text).toBe(await oracle([...messages, user("Why?")]));
    expect(answer.cached).toBeGreaterThan(0);
  });
});

test("lists are a key's own, latest first, in list pages", async () => {
  const ids: string[] = [];
  for (const name of ["one", "two", "three"]) ids.push((await alice.create({ name })).id);
  await new SessionClient().create({ name: "another's" });
  const first = await (await alice.call("GET", "/v1/sessions?limit=2")).json<{ data: Session[]; has_more: boolean }>();
  const rest = await (
    await alice.call("GET", `/v1/sessions?limit=2&after=${first.data[1]?.id ?? ""}`)
  ).json<{ data: Session[]; has_more: boolean }>();
  expect([...first.data, ...rest.data].map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  expect([first.has_more, rest.has_more]).toEqual([true, false]);
});

test("another's session, and one that was never made, get the same answer", async () => {
  const { id } = await alice.create();
  await alice.say(id, longText);
  const mallory = new SessionClient();
  for (const [method, path, body] of [
    ["GET", "", undefined],
    ["GET", "/turns", undefined],
    ["PATCH", "", { name: "x" }],
    ["DELETE", "", undefined],
    ["POST", "/rewind", { turn: 0 }],
    ["POST", "/fork", {}],
    ["POST", "/share", {}],
  ] as const) {
    const answers = [await mallory.call(method, `/v1/sessions/${id}${path}`, body)];
    answers.push(await mallory.call(method, `/v1/sessions/sess_${"0".repeat(32)}${path}`, body));
    expect(
      answers.map(({ status }) => status),
      `${method} ${path}`,
    ).toEqual([404, 404]);
    const [theirs, unknown] = await Promise.all(answers.map(failure));
    expect(theirs).toEqual(unknown);
  }
  await expect(mallory.say(id, "Hello?")).rejects.toThrow("session_not_found");
  expect(await alice.facts(id)).toMatchObject({ turns: 1 });
});

test("without a key there are no sessions", async () => {
  const response = await request("/v1/sessions", json({ model: "tiny" }));
  expect(response.status).toBe(401);
});

describe("shares", () => {
  test("show what was said, can be gone on from, and end", async () => {
    const { id } = await alice.create({ name: "Sea" });
    const messages = await alice.talk(id, longText, `${longText}1`);
    const { id: share } = await (await alice.call("POST", `/v1/sessions/${id}/share`, { expires_in: 60 })).json<{ id: string }>();
    await alice.say(id, "This came later.");
    const response = await request(`/v1/shares/${share}`);
    expect(response.headers.get("x-robots-tag")).toBe("noindex");
    const shared = await response.json<{ name: string; turns: { messages: Message[] }[] }>();
    expect(shared.name).toBe("Sea");
    expect(shared.turns.flatMap((turn) => turn.messages)).toEqual(messages);
    const bob = new SessionClient();
    const mine = await bob.create({ share });
    const answer = await bob.say(mine.id, "Why?");
    expect(answer.text).toBe(await oracle([...messages, user("Why?")]));
    expect(answer.cached).toBeGreaterThan(0);
    expect((await bob.call("DELETE", `/v1/shares/${share}`)).status).toBe(404);
    expect((await alice.call("DELETE", `/v1/shares/${share}`)).status).toBe(204);
    expect((await request(`/v1/shares/${share}`)).status).toBe(404);
    expect((await bob.say(mine.id, "And?")).cached).toBeGreaterThan(0);
  });
});

describe("contexts", () => {
  test("and sessions are found by what is theirs alone", async () => {
    const { id: session } = await alice.create({ name: "Sea" });
    const { id: context } = await alice.createContext({ name: "Book" });
    const calls = [
      ["GET", ""],
      ["PATCH", "", { name: "Other" }],
      ["DELETE", ""],
    ] as const;
    const ofSessions = [
      ["GET", "/turns"],
      ["POST", "/rewind", { turn: 0 }],
      ["POST", "/fork", {}],
      ["POST", "/share", {}],
      ["POST", "/export", {}],
    ] as const;
    const notFound = async (method: string, path: string, code: string, body?: Json) => {
      const response = await alice.call(method, path, body);
      expect([path, response.status, (await failure(response)).code]).toEqual([path, 404, code]);
    };
    for (const [method, rest, body] of [...calls, ...ofSessions])
      await notFound(method, `/v1/sessions/${context}${rest}`, "session_not_found", body);
    for (const [method, rest, body] of [...calls, ["GET", "/events"] as const])
      await notFound(method, `/v1/contexts/${session}${rest}`, "context_not_found", body);
    expect(await failure(await alice.upload(session, "offset=0", "text"))).toMatchObject({ code: "context_not_found" });
    const from = (origin: Json) => alice.call("POST", "/v1/sessions", { model: "tiny", from: origin });
    expect(await failure(await from({ session_id: context }))).toMatchObject({ code: "session_not_found" });
    expect(await failure(await from({ context_id: session }))).toMatchObject({ code: "context_not_found" });
    expect(await alice.facts(session)).toMatchObject({ name: "Sea" });
    expect(await (await alice.call("GET", `/v1/contexts/${context}`)).json()).toMatchObject({ name: "Book" });
  });

  const text = Array.from({ length: 4 }, (_unused, at) => `Line ${String(at)} of a naïve document, 你好, about ships and harbours. `).join(
    "",
  );

  async function until(id: string, stage: string): Promise<Session> {
    await expect.poll(async () => (await alice.facts(id)).ingest?.stage, { timeout: 20_000 }).toBe(stage);
    return await alice.facts(id);
  }

  test("are read once, in chunks of any size, and asked often", async () => {
    const { id } = await (await alice.call("POST", "/v1/contexts", { model: "tiny", name: "Book" })).json<Session>();
    const bytes = new TextEncoder().encode(text);
    let offset = 0;
    for (const size of [1, 100, 7, 101, bytes.length]) {
      const part = bytes.slice(offset, offset + size);
      const last = offset + size >= bytes.length;
      const path = `/v1/contexts/${id}/text?offset=${String(offset)}${last ? "&last=true" : ""}`;
      const response = await request(path, { method: "PUT", headers: { ...alice.headers, "content-type": "text/plain" }, body: part });
      if (response.status !== 200) throw new Error(await response.text());
      offset += part.length;
      expect((await response.json<Session>()).ingest?.received_bytes).toBe(offset);
    }
    const context = await until(id, "ready");
    expect(context.ingest?.read_tokens).toBe(context.tokens);
    for (const question of ["What is line 7?", "And ships?"]) {
      const { id: session } = await alice.create({ from: { context_id: id } });
      const answer = await alice.say(session, question);
      expect(answer.text).toBe(await oracle([{ role: "system", content: text }, user(question)]));
      expect(answer.cached).toBe(context.tokens);
      const more = await alice.say(session, "More?");
      expect(more.text).toBe(await oracle([{ role: "system", content: text }, user(question), assistant(answer.text), user("More?")]));
    }
  });

  test("tell how far they are, and refuse what does not fit", async () => {
    const { id } = await (await alice.call("POST", "/v1/contexts", { model: "tiny" })).json<Session>();
    const put = (query: string, body: BodyInit) =>
      request(`/v1/contexts/${id}/text?${query}`, { method: "PUT", headers: { ...alice.headers, "content-type": "text/plain" }, body });
    expect((await put("offset=5", "abc")).status).toBe(409);
    expect((await put("offset=0", new Uint8Array([0x61, 0xff, 0x62]))).status).toBe(400);
    await expect(alice.create({ from: { context_id: id } })).rejects.toThrow("not ready");
    await put("offset=0&last=true", text);
    const events = await (await alice.call("GET", `/v1/contexts/${id}/events`)).text();
    expect(events.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(events).toContain('"stage":"ready"');
    expect((await put("offset=0", "more")).status).toBe(409);
    expect((await new SessionClient().call("GET", `/v1/contexts/${id}`)).status).toBe(404);
  });
});

describe("files", () => {
  const exported = async (id: string, body: Json) =>
    new Uint8Array(await (await alice.call("POST", `/v1/sessions/${id}/export`, body)).arrayBuffer());
  const imported = (file: Uint8Array<ArrayBuffer>, { headers } = alice, passphrase?: string) =>
    request("/v1/sessions/import", {
      method: "POST",
      headers: { ...headers, ...(passphrase === undefined ? {} : { "x-spikingbrain-passphrase": encodeURIComponent(passphrase) }) },
      body: file,
    });

  test("go on elsewhere, under a passphrase with whoever is told it", async () => {
    const { id } = await alice.create({ name: "Sea" });
    const messages = await alice.talk(id, longText, `${longText}1`);
    const file = await exported(id, { passphrase: "sesam öffne dich" });
    expect(new TextDecoder().decode(file)).not.toContain("Sea");
    const bob = new SessionClient();
    const mine = await (await imported(file, bob, "sesam öffne dich")).json<Session>();
    expect(mine).toMatchObject({ name: "Sea", turns: 2, tier: "hot" });
    const answer = await bob.say(mine.id, "Why?");
    expect(answer.text).toBe(await oracle([...messages, user("Why?")]));
    expect(answer.cached).toBeGreaterThan(0);
    for (const passphrase of ["sesam", undefined]) {
      const refused = await imported(file, bob, passphrase);
      expect(refused.status).toBe(400);
      expect(await failure(refused)).toMatchObject({ code: "snapshot_sealed" });
    }
    const halfEncoded = await request("/v1/sessions/import", {
      method: "POST",
      headers: { ...bob.headers, "x-spikingbrain-passphrase": "%E4" },
      body: file,
    });
    expect(await failure(halfEncoded)).toMatchObject({ param: "x-spikingbrain-passphrase" });
  });

  test("under a tenant's key are nobody else's, and hold as a whole or not at all", async () => {
    const { id } = await alice.create();
    await alice.talk(id, longText);
    const file = await exported(id, {});
    expect((await imported(file)).status).toBe(201);
    expect(await failure(await imported(file, new SessionClient()))).toMatchObject({ code: "snapshot_sealed" });
    const count = async () => (await (await alice.call("GET", "/v1/sessions")).json<{ data: Session[] }>()).data.length;
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
