/** What turns of one session may meet: one another, a session that has changed, states that are gone. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import type { SessionBackend } from "../../../../workers/contracts/session.ts";
import { keptTurns } from "../../../../workers/session/sessions/kept-states.ts";
import { ownerOf } from "../../../../workers/session/sessions/contract.ts";
import { failure, json, requestWith, type Json } from "../../support/gateway-client.ts";
import { engine } from "../../support/gateway-worker.ts";
import { assistant, greedy, oracle, said, SessionClient, user } from "../../support/session-client.ts";
import { dropStates, inSession, lose, owners } from "./support.ts";

const longText = "Tell me of the sea, of its winds, its ships, its islands and of all those who live by it and of ";

let alice = new SessionClient();
beforeEach(() => {
  engine.use({});
  alice = new SessionClient();
});

/** The session Worker, with something in the way of a turn that is on its way; says what it was called for. */
function onTheWay(meanwhile: () => Promise<unknown>): { readonly SESSION: SessionBackend; readonly calls: string[] } {
  const { SESSION } = env as unknown as { readonly SESSION: Record<string, (...values: unknown[]) => Promise<unknown>> };
  const calls: string[] = [];
  const called = async (name: string, values: unknown[]) => {
    calls.push(name);
    await meanwhile();
    return await SESSION[name]?.(...values);
  };
  const spy = new Proxy(
    {},
    {
      get:
        (_target, name) =>
        async (...values: unknown[]) =>
          await called(String(name), values),
    },
  );
  return { SESSION: spy as SessionBackend, calls };
}

describe("a turn is rendered where its session ends", () => {
  async function sayAfter(session: string, change: () => Promise<unknown>, content: string): Promise<Response> {
    const { SESSION } = onTheWay(change);
    const body = { ...greedy, session_id: session, messages: [user(content)] };
    return await requestWith({ SESSION }, "/v1/chat/completions", json(body, alice.headers));
  }

  test("in one call, of whichever turn", async () => {
    const { id } = await alice.create();
    const { SESSION, calls } = onTheWay(() => Promise.resolve());
    for (const content of ["First?", "And?"]) {
      const body = { ...greedy, session_id: id, messages: [user(content)] };
      await said(await requestWith({ SESSION }, "/v1/chat/completions", json(body, alice.headers)));
    }
    expect(calls).toEqual(["start", "start"]);
    expect(await alice.facts(id)).toMatchObject({ turns: 2 });
  });

  test("after another's first turn it is a second", async () => {
    const { id } = await alice.create();
    const first = { text: "" };
    const other = async () => {
      first.text = (await alice.say(id, "First?")).text;
    };
    const answer = await said(await sayAfter(id, other, "Also first?"));
    expect(answer.text).toBe(await oracle([user("First?"), assistant(first.text), user("Also first?")]));
    expect(answer.session).toBe(id);
    expect(await alice.facts(id)).toMatchObject({ turns: 2 });
  });

  test("after the session was taken back to its beginning it is a first", async () => {
    const { id } = await alice.create();
    await alice.say(id, "First?");
    const rewind = () => alice.call("POST", `/v1/sessions/${id}/rewind`, { turn: 0 });
    const answer = await said(await sayAfter(id, rewind, "And?"));
    expect(answer.text).toBe(await oracle([user("And?")]));
    expect(answer.session).toBe(id);
    expect(await alice.facts(id)).toMatchObject({ turns: 1 });
  });

  test("two first turns at once are both first", async () => {
    const { id } = await alice.create();
    engine.use({ delayMilliseconds: 3 });
    const [left, right] = await Promise.all([alice.say(id, "left?"), alice.say(id, "right?")]);
    engine.use({});
    expect(left.text).toBe(await oracle([user("left?")]));
    expect(right.text).toBe(await oracle([user("right?")]));
    expect(new Set([left.session, right.session]).size).toBe(2);
  });

  test("two at once after a document both follow it", async () => {
    const { id: context } = await alice.createContext();
    await (await alice.upload(context, "offset=0&last=true", longText)).text();
    await expect.poll(async () => (await alice.facts(context)).ingest?.stage).toBe("ready");
    const { id } = await alice.create({ from: { context_id: context } });
    engine.use({ delayMilliseconds: 3 });
    const [left, right] = await Promise.all([alice.say(id, "left?"), alice.say(id, "right?")]);
    engine.use({});
    const document = { role: "system", content: longText };
    expect(left.text).toBe(await oracle([document, user("left?")]));
    expect(right.text).toBe(await oracle([document, user("right?")]));
    expect(new Set([left.session, right.session]).size).toBe(2);
  });

  test("one that is refused leaves no fork of a busy session, and one that is too long says so", async () => {
    const { id } = await alice.create();
    await alice.say(id, "First?");
    engine.use({ delayMilliseconds: 20 });
    const running = await alice.call("POST", "/v1/chat/completions", {
      ...greedy,
      stream: true,
      session_id: id,
      messages: [user("Go on")],
    });
    const ask = async (body: Json) => {
      const whole = { ...greedy, session_id: id, messages: [user("And?")], ...body };
      return await failure(await alice.call("POST", "/v1/chat/completions", whole));
    };
    expect(await ask({ max_tokens: 512 })).toMatchObject({
      ...{ code: "context_length_exceeded", param: "messages" },
      message: expect.stringMatching(/^A request may have 512 tokens, prompt and answer together\. \d+ were asked for/) as string,
    });
    expect(await ask({ min_tokens: 11 })).toMatchObject({ code: "invalid_request", param: "min_tokens" });
    expect(await ask({ messages: [user("x".repeat(600))] })).toMatchObject({ code: "context_length_exceeded", param: "messages" });
    await running.text();
    const { data } = await (await alice.call("GET", "/v1/sessions")).json<{ data: { id: string }[] }>();
    expect(data.map((one) => one.id)).toEqual([id]);
  });

  test("a session that another deployment's tokenizer would read wrongly takes none", async () => {
    const { id } = await alice.create();
    await alice.say(id, "First?");
    await inSession(alice, id, ({ storage }) => {
      storage.sql.exec("UPDATE record SET json = replace(json, ?, ?)", "2".repeat(64), "5".repeat(64));
    });
    await lose(alice, id);
    const response = await alice.call("POST", "/v1/chat/completions", { ...greedy, session_id: id, messages: [user("And?")] });
    expect(response.status).toBe(404);
    expect(await failure(response)).toMatchObject({
      code: "model_not_found",
      message: expect.stringContaining("another version") as string,
    });
  });
});

describe("states", () => {
  test("are kept for the last two turns, for powers of two, and for the document", () => {
    expect([...keptTurns([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 4, 8, 10, 11]);
    // Those of 6 and 7 could not be kept: the newest there are stay.
    expect([...keptTurns([1, 2, 3, 5])].toSorted((a, b) => a - b)).toEqual([1, 2, 3, 5]);
  });

  test("of a session are those, and no others", async () => {
    const { id } = await alice.create();
    const messages = await alice.talk(id, "a?", "b?", "c?", "d?", "e?", "f?", "g?");
    expect(await owners(alice)).toEqual([1, 2, 4, 6, 7].map((turn) => ownerOf(id, turn)));
    const { id: fork } = await alice.create({ from: { session_id: id, turn: 5 } });
    expect((await alice.say(fork, "Why?")).text).toBe(await oracle([...messages.slice(0, 10), user("Why?")]));
  });

  test("that are gone are made again from the tokens, in parts of which one is kept", async () => {
    const { id } = await alice.create();
    const messages = await alice.talk(id, `${longText}one`, `${longText}two`, `${longText}three`);
    await dropStates(alice);
    engine.use({});
    const answer = await alice.say(id, "Why?");
    // More than half of what the engine takes at once, so more than one part.
    expect(engine.calls.length).toBeGreaterThan(2);
    expect(answer.text).toBe(await oracle([...messages, user("Why?")]));
    expect((await owners(alice)).filter((owner) => owner.includes("part"))).toEqual([]);
    expect((await alice.say(id, "And?")).cached).toBeGreaterThan(answer.prompt);
  });

  test("that can't be kept cost the next turn its reading, not its answer", async () => {
    const { id } = await alice.create();
    const messages = await alice.talk(id, `${longText}one`, `${longText}two`, `${longText}three`);
    await dropStates(alice);
    engine.use({ failSaveAfterBytes: 0 });
    expect((await alice.say(id, "Why?")).text).toBe(await oracle([...messages, user("Why?")]));
  });

  test("are not needed by an engine that is away: the turn says so, and the session takes another", async () => {
    const { id } = await alice.create();
    const messages = await alice.talk(id, `${longText}one`, `${longText}two`, `${longText}three`);
    await dropStates(alice);
    const away = { code: "engine_unavailable", status: 503, message: "away", retryable: true } as const;
    engine.use({ refuse: away });
    await expect(alice.say(id, "Why?")).rejects.toThrow("engine_unavailable");
    engine.use({});
    expect(await alice.facts(id)).toMatchObject({ running: null, turns: 3 });
    expect(await alice.say(id, "Why?")).toMatchObject({ text: await oracle([...messages, user("Why?")]), session: id });
  });
});

test("a session that is deleted during its turn takes the turn and its state along", async () => {
  const { id } = await alice.create();
  await alice.say(id, longText);
  engine.use({ delayMilliseconds: 20 });
  const body = { ...greedy, max_tokens: 100, stream: true, session_id: id, messages: [user("Go on")] };
  const response = await alice.call("POST", "/v1/chat/completions", body);
  expect((await alice.call("DELETE", `/v1/sessions/${id}`)).status).toBe(204);
  await response.text();
  await expect.poll(() => engine.running).toBe(0);
  await expect.poll(() => owners(alice)).toEqual([]);
  const { data } = await (await alice.call("GET", "/v1/sessions")).json<{ data: unknown[] }>();
  expect(data).toEqual([]);
});

test("a session whose object is lost has lost nothing", async () => {
  const { id } = await alice.create({ name: "Sea" });
  const messages = await alice.talk(id, longText, "And?");
  await lose(alice, id);
  expect((await alice.say(id, "Why?")).text).toBe(await oracle([...messages, user("Why?")]));
});
