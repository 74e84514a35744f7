/** What turns of one session may meet: one another, a session that has changed, states that are gone. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import type { SessionBackend } from "../../../../workers/contracts/session.ts";
import { keptTurns } from "../../../../workers/session/sessions/kept-states.ts";
import { ownerOf } from "../../../../workers/session/sessions/contract.ts";
import { failure, json, requestWith } from "../../support/gateway-client.ts";
import { engine } from "../../support/gateway-worker.ts";
import { greedy, oracle, said, SessionClient, user } from "../../support/session-client.ts";
import { tenantOf } from "../../support/stores.ts";
import { dropStates, lose, owners } from "./support.ts";

const LONG = "Tell me of the sea, of its winds, its ships, its islands and of all those who live by it and of ";

let alice = new SessionClient();
beforeEach(() => {
  engine.use({});
  alice = new SessionClient();
});

describe("a turn that was rendered before the session changed", () => {
  /** Sends a turn as a gateway does that has looked at the session earlier. */
  async function sayAfter(session: string, change: () => Promise<unknown>, content: string): Promise<Response> {
    const { SESSION } = env as unknown as { readonly SESSION: SessionBackend };
    const before = await SESSION.session(await tenantOf(alice.key), session);
    await change();
    const late = {
      session: () => Promise.resolve(before),
      start: (order: Parameters<SessionBackend["start"]>[0]) => SESSION.start(order),
    } as unknown as SessionBackend;
    const body = { ...greedy, session_id: session, messages: [user(content)] };
    return await requestWith({ SESSION: late }, "/v1/chat/completions", json(body, alice.headers));
  }

  test("as a beginning is taken by a fork of the beginning", async () => {
    const { id } = await alice.create();
    const answer = await said(await sayAfter(id, () => alice.say(id, "First?"), "Also first?"));
    expect(answer.text).toBe(await oracle([user("Also first?")]));
    expect(await alice.facts(answer.session)).toMatchObject({ turns: 1, parent: { session_id: id, turn: 0 } });
    expect(await alice.facts(id)).toMatchObject({ turns: 1 });
  });

  test("as a continuation is refused by a session that was taken back to its beginning", async () => {
    const { id } = await alice.create();
    await alice.say(id, "First?");
    const rewind = () => alice.call("POST", `/v1/sessions/${id}/rewind`, { turn: 0 });
    const response = await sayAfter(id, rewind, "And?");
    expect([response.status, (await failure(response)).code]).toEqual([409, "conflict"]);
    expect((await alice.say(id, "Again?")).text).toBe(await oracle([user("Again?")]));
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

  test("that are gone are made again from the tokens, in pieces of which one is kept", async () => {
    const { id } = await alice.create();
    const messages = await alice.talk(id, `${LONG}one`, `${LONG}two`, `${LONG}three`);
    await dropStates(alice);
    engine.use({});
    const answer = await alice.say(id, "Why?");
    // More than half of what the engine takes at once, so more than one piece.
    expect(engine.calls.length).toBeGreaterThan(2);
    expect(answer.text).toBe(await oracle([...messages, user("Why?")]));
    expect((await owners(alice)).filter((owner) => owner.includes("piece"))).toEqual([]);
    expect((await alice.say(id, "And?")).cached).toBeGreaterThan(answer.prompt);
  });

  test("that can't be kept cost the next turn its reading, not its answer", async () => {
    const { id } = await alice.create();
    const messages = await alice.talk(id, `${LONG}one`, `${LONG}two`, `${LONG}three`);
    await dropStates(alice);
    engine.use({ failSaveAfterBytes: 0 });
    expect((await alice.say(id, "Why?")).text).toBe(await oracle([...messages, user("Why?")]));
  });

  test("are not needed by an engine that is away: the turn says so, and the session takes another", async () => {
    const { id } = await alice.create();
    const messages = await alice.talk(id, `${LONG}one`, `${LONG}two`, `${LONG}three`);
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
  await alice.say(id, LONG);
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
  const messages = await alice.talk(id, LONG, "And?");
  await lose(alice, id);
  expect((await alice.say(id, "Why?")).text).toBe(await oracle([...messages, user("Why?")]));
});
