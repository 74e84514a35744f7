/** A model whose backend can no more than compute tokens, beside those that can all. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { chat, complete, failure, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { SessionClient, user } from "../support/session-client.ts";
import { bytesAsTokens } from "../support/tiny-tokenizer.ts";

const reply = "abc";
const client = new SessionClient();
const model = "plain";

beforeEach(() => engine.use({ reply: bytesAsTokens(reply) }));
afterEach(() => {
  for (const { save, resume } of engine.calls) expect([save, resume]).toEqual([undefined, undefined]);
});

const ask = (body: Json) => client.call("POST", "/v1/chat/completions", { model, messages: [user("hi")], ...body });

describe("what the backend can't do is refused by the field that asks for it", () => {
  test.each<[param: string, send: (body: Json) => Promise<Response>, body: Json]>([
    ["logit_bias", chat, { logit_bias: { 1: 5 } }],
    ["seed", chat, { seed: 2 ** 32 }],
    ["seed", chat, { seed: 2 ** 32 - 1, n: 2 }],
    ["seed", chat, { seed: -1 }],
    ["logprobs", (body) => complete({ prompt: "hi", ...body }), { echo: true, logprobs: 1 }],
  ])("%s", async (param, send, body) => {
    const refused = await send({ model, ...body });
    expect(refused.status).toBe(400);
    expect(await failure(refused)).toMatchObject({
      code: "unsupported_field",
      param,
      message: expect.stringContaining("the backend of the model 'plain'") as string,
    });
    expect(engine.calls).toEqual([]);
    const other = await send({ model: "tiny", ...body });
    await other.text();
    expect(other.status).toBe(200);
    engine.use({});
  });

  test("and what it can is answered", async () => {
    for (const body of [{ seed: 2 ** 32 - 1 }, { logit_bias: {} }, {}]) expect((await ask(body)).status).toBe(200);
    const seeds = engine.calls.map(({ sampling }) => Number(sampling.seed));
    expect(seeds.every((seed) => seed < 2 ** 32)).toBe(true);
  });
});

describe("without states", () => {
  const long = "A text that is longer than a page of thirty-two tokens, so that its state would be worth keeping.";

  test("the answer says why nothing is found", async () => {
    for (let time = 0; time < 2; time++) {
      const answer = await ask({ messages: [user(long)] });
      await answer.text();
      expect(answer.headers.get("x-spikingbrain-cache")).toMatch(/^miss.*the model's backend keeps no states/);
    }
  });

  test("a session goes on, and has all of it read again", async () => {
    const { id } = await client.create({ model });
    const say = async (text: string) => {
      const answer = await ask({ session_id: id, messages: [user(text)] });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("x-spikingbrain-cache")).toContain("keeps no states");
      return await answer.json<{ choices: { message: { content: string } }[]; usage: { prompt_tokens: number } }>();
    };
    const first = await say(long);
    expect(first.choices[0]?.message.content).toBe(reply);
    const second = await say("And?");
    const prompts = engine.calls.map(({ prompt }) => prompt.length);
    expect(second.usage.prompt_tokens).toBe(prompts[1]);
    expect(prompts[1]).toBeGreaterThan((prompts[0] ?? 0) + reply.length);
    // What it holds counts into one request, as it is read by one.
    const whole = await ask({ session_id: id, messages: [user("x".repeat(400))] });
    expect(await failure(whole)).toMatchObject({ code: "context_length_exceeded" });
  });

  test("a document is refused before it is uploaded", async () => {
    const kept = async () => (await (await client.call("GET", "/v1/contexts")).json<{ data: readonly unknown[] }>()).data;
    const asText = { method: "POST", headers: { ...client.headers, "content-type": "text/plain" }, body: long };
    for (const send of [() => client.call("POST", "/v1/contexts", { model }), () => request(`/v1/contexts?model=${model}`, asText)]) {
      const refused = await send();
      expect(refused.status).toBe(400);
      expect(await failure(refused)).toMatchObject({ code: "unsupported_field", param: "model" });
    }
    expect(await kept()).toEqual([]);
  });
});

test.each<[asked: string, body: Json, status: number, calls: number, told: string]>([
  [model, { temperature: 1 }, 503, 1, "The scripted engine broke."],
  [model, { temperature: 0, presence_penalty: 1 }, 503, 1, "The scripted engine broke."],
  [model, { temperature: 0, frequency_penalty: 1 }, 503, 1, "The scripted engine broke."],
  [model, { temperature: 0, min_tokens: 3 }, 503, 1, "The scripted engine broke."],
  [model, { temperature: 0 }, 200, 2, reply],
  ["tiny", { temperature: 1 }, 200, 2, reply],
])("an answer that is cut off: '%s' with %j ends with %i after %i calls", async (asked, body, status, calls, told) => {
  engine.use({ reply: bytesAsTokens(reply), breakAfter: { tokens: 2, how: "error" } });
  const answer = await chat({ model: asked, ...body });
  expect([answer.status, engine.calls.length]).toEqual([status, calls]);
  expect(await answer.text()).toContain(told);
});
