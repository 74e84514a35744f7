/** Which responses are kept, for how long and for whom: what is not to be stored, what is deleted, whose a response is, the quota. */
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { failure, json, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { scriptedFailure } from "../support/toy-generation.ts";
import { setQuota } from "../support/quota.ts";
import { responseIn, ResponseClient, textOf } from "../support/response-client.ts";
import { assistant, oracle, user, type Message } from "../support/session-client.ts";

let alice = new ResponseClient();
beforeEach(() => {
  engine.use({});
  alice = new ResponseClient();
});

const system = (content: string): Message => ({ role: "system", content });
const longText = "Tell me of the sea, and of the ships that went down in it long ago ";

describe("deleting", () => {
  const gone = async (id: string) => {
    for (const [method, path] of [
      ["GET", ""],
      ["GET", "/input_items"],
      ["DELETE", ""],
      ["POST", "/cancel"],
      ["GET", "?stream=true"],
    ] as const) {
      const response = await alice.call(method, `/v1/responses/${id}${path}`);
      expect([response.status, (await failure(response)).code], `${method} ${path}`).toEqual([
        404,
        expect.stringMatching(/^(response|stream)_not_found$/),
      ]);
    }
    const next = await alice.respond({ input: "And?", previous_response_id: id });
    expect(next.status).toBe(404);
    expect(await failure(next)).toMatchObject({ code: "response_not_found", param: "previous_response_id" });
  };
  const sessions = async () => (await (await alice.call("GET", "/v1/sessions")).json<{ data: { turns: number }[] }>()).data;

  test("the only response takes its session with it", async () => {
    const made = await alice.made({ input: "Hi" });
    const response = await alice.call("DELETE", `/v1/responses/${made.id}`);
    expect(await response.json()).toEqual({ id: made.id, object: "response", deleted: true });
    await gone(made.id);
    expect(await sessions()).toEqual([]);
  });

  test("one that others follow is not found, and they go on; the last takes it along", async () => {
    const first = await alice.made({ input: longText });
    const second = await alice.made({ input: "And?", previous_response_id: first.id });
    expect((await alice.call("DELETE", `/v1/responses/${first.id}`)).status).toBe(200);
    await gone(first.id);
    expect(await alice.response(second.id)).toEqual(second);
    const third = await alice.made({ input: "So?", previous_response_id: second.id });
    const said = [user(longText), assistant(textOf(first)), user("And?"), assistant(textOf(second)), user("So?")];
    expect(textOf(third)).toBe(await oracle(said));
    expect((await alice.call("DELETE", `/v1/responses/${third.id}`)).status).toBe(200);
    expect(await sessions()).toMatchObject([{ turns: 2 }]);
    expect((await alice.call("DELETE", `/v1/responses/${second.id}`)).status).toBe(200);
    expect(await sessions()).toEqual([]);
  });
});

describe("who may", () => {
  test("nobody finds another's response, or one that was never given out", async () => {
    const made = await alice.made({ input: "Hi" });
    const bob = new ResponseClient();
    const unknown = made.id.replace(/[0-9a-f]{8}$/, "00000000");
    for (const [client, id] of [
      [bob, made.id],
      [alice, unknown],
      [alice, "resp_1"],
    ] as const)
      for (const call of [client.call("GET", `/v1/responses/${id}`), client.call("DELETE", `/v1/responses/${id}`)]) {
        const response = await call;
        expect([response.status, (await failure(response)).code]).toEqual([404, "response_not_found"]);
      }
    expect((await bob.respond({ input: "Hi", previous_response_id: made.id })).status).toBe(404);
    expect(await alice.response(made.id)).toEqual(made);
  });

  test("without a key there is an answer, and nothing is kept", async () => {
    const body: Json = { model: "tiny", input: "Hi", max_output_tokens: 2 };
    const made = await responseIn(await request("/v1/responses", json(body)));
    expect(made.store).toBe(false);
    for (const more of [{ store: true }, { background: true }, { previous_response_id: made.id }]) {
      const refused = await request("/v1/responses", json({ ...body, ...more }));
      expect([refused.status, (await failure(refused)).code]).toEqual([401, "invalid_api_key"]);
    }
  });

  test("what is not to be stored is not", async () => {
    const made = await alice.made({ input: "Hi", store: false });
    expect(made.store).toBe(false);
    expect((await alice.call("GET", `/v1/responses/${made.id}`)).status).toBe(404);
    expect((await (await alice.call("GET", "/v1/sessions")).json<{ data: object[] }>()).data).toEqual([]);
  });

  test("what is not to be stored goes on from what is, and leaves nothing behind", async () => {
    const first = await alice.made({ input: longText, instructions: "Be brief." });
    const kept = async () => {
      const sessions = (await (await alice.call("GET", "/v1/sessions")).json<{ data: { id: string; turns: number; tokens: number }[] }>())
        .data;
      return sessions.map(({ id, turns, tokens }) => [id, turns, tokens]);
    };
    const sessionsBytes = async () => (await (await alice.call("GET", "/v1/usage")).json<{ bytes: { sessions: number } }>()).bytes.sessions;
    const before = [await kept(), await sessionsBytes()];
    const said = [user(longText), assistant(textOf(first)), user("And?")];
    for (const [instructions, cache] of [
      ["Be brief.", /^hit; tokens=\d+; reason="session"/],
      ["Be long, be very long.", /^miss.*other instructions/],
    ] as const) {
      const next = await alice.respond({ input: "And?", instructions, store: false, previous_response_id: first.id });
      expect(next.headers.get("x-spikingbrain-cache")).toMatch(cache);
      expect(next.headers.get("x-spikingbrain-session")).toBeNull();
      const made = await responseIn(next);
      expect([textOf(made), made.store]).toEqual([await oracle([system(instructions), ...said]), false]);
      expect(made.previous_response_id).toBe(first.id);
      expect((await alice.call("GET", `/v1/responses/${made.id}`)).status).toBe(404);
      expect((await alice.respond({ input: "So?", previous_response_id: made.id })).status).toBe(404);
      const count = { model: "tiny", input: "And?", instructions, store: false, previous_response_id: first.id };
      expect(await (await alice.call("POST", "/v1/responses/input_tokens", count)).json()).toMatchObject({
        input_tokens: made.usage?.input_tokens,
      });
    }
    const streamed = await alice.respond({
      input: "And?",
      instructions: "Be brief.",
      store: false,
      previous_response_id: first.id,
      stream: true,
    });
    const stream = streamed.headers.get("x-spikingbrain-stream") ?? "";
    const told = await streamed.text();
    expect(told).toContain("response.incomplete");
    expect(await (await alice.call("GET", `/v1/streams/${stream}`)).text()).toBe(told);
    expect([await kept(), await sessionsBytes()]).toEqual(before);
    // Also beside a turn that runs, and from one that others follow.
    engine.use({ delayMilliseconds: 10 });
    const running = alice.made({ input: "So?", instructions: "Be brief.", previous_response_id: first.id });
    const beside = await alice.made({ input: "And?", instructions: "Be brief.", store: false, previous_response_id: first.id });
    await running;
    const after = await alice.made({ input: "And?", instructions: "Be brief.", store: false, previous_response_id: first.id });
    for (const made of [beside, after]) expect(textOf(made)).toBe(await oracle([system("Be brief."), ...said]));
    expect((await kept()).map(([, turns]) => turns)).toEqual([2]);
    const refused = await alice.respond({ input: "And?", store: false, conversation: "conv_1" });
    expect(await failure(refused)).toMatchObject({
      param: "store",
      message: expect.stringContaining("must be true in a conversation") as string,
    });
  });

  test("what is not to be stored ends where its client leaves, and leaves nothing then either", async () => {
    const first = await alice.made({ input: longText });
    const bytes = async () => (await (await alice.call("GET", "/v1/usage")).json<{ bytes: { sessions: number } }>()).bytes.sessions;
    const before = await bytes();
    engine.use({ delayMilliseconds: 20 });
    const body = { input: "And?", store: false, previous_response_id: first.id, max_output_tokens: 400, stream: true };
    const reader = (await alice.respond(body)).body?.getReader();
    await reader?.read();
    await expect.poll(() => engine.running).toBe(1);
    expect(await bytes()).toBeGreaterThan(before);
    await reader?.cancel();
    await expect.poll(() => engine.running, { timeout: 5_000 }).toBe(0);
    expect(engine.generatedTokens).toBeLessThan(400);
    await expect.poll(bytes, { timeout: 5_000 }).toBe(before);
    engine.use({ refuse: scriptedFailure });
    expect((await alice.respond({ ...body, stream: false })).status).toBe(503);
    expect(await bytes()).toBe(before);
  });
});

test("the store of responses is bounded by the key's quota, which says what to do", async () => {
  setQuota(200_000);
  onTestFinished(() => {
    setQuota(undefined);
  });
  let refused: Response | undefined;
  for (let made = 0; made < 50 && refused === undefined; made++) {
    const response = await alice.respond({ input: `${longText}${String(made)}` });
    if (response.status !== 200) refused = response;
    else await response.body?.cancel();
  }
  expect(refused?.status).toBe(429);
  expect(await failure(refused as Response)).toMatchObject({ code: "quota_exceeded" });
  expect((await alice.respond({ input: "Hi", store: false })).status).toBe(200);
});
