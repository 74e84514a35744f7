/**
 * What stock clients gain: a request that repeats its conversation reads only what is new, and answers as if it had read everything. The
 * oracle is the same request under a key that nothing is kept for.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { json, request, type Json } from "../../support/gateway-client.ts";
import { engine } from "../../support/gateway-worker.ts";
import { plainLetters } from "../../support/plain-letters.ts";
import { bytesAsTokens } from "../../support/tiny-tokenizer.ts";

interface Message {
  readonly role: string;
  readonly content: string;
}

interface Answer {
  readonly text: string;
  readonly cached: number;
  readonly prompt: number;
  readonly header: string;
  readonly reason: string;
}

let keys = 0;
/** A key that nobody has used: everything kept belongs to a key. */
const newKey = () => `sk-${String(++keys)}-${crypto.randomUUID()}`;

beforeEach(() => engine.use({}));

async function ask(key: string, messages: readonly Message[], body: Json = {}): Promise<Answer> {
  const response = await request(
    "/v1/chat/completions",
    json(
      { model: "tiny", messages, temperature: 0, max_tokens: 12, ignore_eos: true, logit_bias: plainLetters, ...body },
      { authorization: `Bearer ${key}` },
    ),
  );
  const answer = await response.json<{
    choices: { message: { content: string }; finish_reason: string }[];
    usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
  }>();
  if (response.status !== 200) throw new Error(JSON.stringify(answer));
  return {
    text: answer.choices.map(({ message }) => message.content).join("|"),
    cached: answer.usage.prompt_tokens_details.cached_tokens,
    prompt: answer.usage.prompt_tokens,
    header: response.headers.get("x-spikingbrain-cache") ?? "",
    reason: answer.choices[0]?.finish_reason ?? "",
  };
}

const cold = (messages: readonly Message[], body: Json = {}) => ask(newKey(), messages, body);
const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });
const longText = "Tell me something about the sea. ";

/** Some turns of a conversation, with the answers that a client would send back. */
async function talk(key: string, turns: number, body: Json = {}): Promise<Message[]> {
  const messages: Message[] = [];
  for (let turn = 0; turn < turns; turn++) {
    messages.push(user(`${longText}${String(turn)}`));
    messages.push(assistant((await ask(key, messages, body)).text));
  }
  return messages;
}

describe("a conversation that is sent again", () => {
  test("reads its new message only, turn after turn, far beyond the window", async () => {
    const key = newKey();
    const messages: Message[] = [];
    for (let turn = 0; turn < 5; turn++) {
      messages.push(user(`${longText}${String(turn)}`));
      const answer = await ask(key, messages);
      const oracle = await cold(messages);
      expect(answer.text).toBe(oracle.text);
      expect(answer.prompt).toBe(oracle.prompt);
      expect(oracle.cached).toBe(0);
      if (turn === 0) expect(answer.header).toMatch(/^miss; tokens=0; reason="/);
      else {
        expect(answer.header).toBe(`hit; tokens=${String(answer.cached)}; reason="hot"`);
        // New are the end of the last answer, the message and the header of the next answer.
        expect(answer.prompt - answer.cached).toBeLessThan(longText.length + 60);
      }
      messages.push(assistant(answer.text));
    }
  });

  test("again as it was: the last token is read, and read once", async () => {
    const key = newKey();
    const messages = [...(await talk(key, 2)), user("And?")];
    const first = await ask(key, messages);
    const again = await ask(key, messages);
    expect(again.text).toBe(first.text);
    expect(again.cached).toBeLessThan(again.prompt);
    expect(again.cached).toBeGreaterThan(0);
  });

  test("with an edited message goes on from what is left in common", async () => {
    const key = newKey();
    const messages = await talk(key, 3);
    const edited = [...messages.slice(0, 4), user("Something else entirely."), assistant("Indeed."), user("And then?")];
    const answer = await ask(key, edited);
    expect(answer.text).toBe((await cold(edited)).text);
    expect(answer.cached).toBeGreaterThan(0);
    const other = [user("Nothing in common."), ...messages.slice(1), user("And?")];
    const anew = await ask(key, other);
    expect(anew.text).toBe((await cold(other)).text);
    expect(anew.cached).toBe(0);
  });

  test.each<[string, Json]>([
    ["after a stop string", { stop: ["a", "b", "c", "d", "e", "f", "g", "h"] }],
    ["after the limit", { max_tokens: 3 }],
    ["after one token", { max_tokens: 1 }],
    ["with several choices", { n: 3 }],
    ["with a repetition penalty", { repetition_penalty: 1.3 }],
    ["with penalties", { presence_penalty: 0.7, frequency_penalty: 0.3 }],
    ["with a temperature and a seed", { temperature: 1, seed: 11 }],
    ["with log-probabilities", { logprobs: true, top_logprobs: 3 }],
    ["with spikes and state", { spikes: true, state: true }],
  ])("%s answers as if it had read everything", async (_name, body) => {
    const key = newKey();
    const messages = [...(await talk(key, 3, body.n === undefined ? body : {})), user("And then?")];
    const answer = await ask(key, messages, body);
    const oracle = await cold(messages, body);
    expect(answer.text).toBe(oracle.text);
    expect(answer.cached).toBeGreaterThan(0);
  });

  test("with half a character at its end", async () => {
    const key = newKey();
    const messages = await talk(key, 1);
    engine.use({ reply: bytesAsTokens("naïve 你好 你好") });
    messages.push(user("And?"));
    const first = await ask(key, messages, { max_tokens: 8, logit_bias: {} });
    expect(first.text.endsWith("\ufffd")).toBe(true);
    messages.push(assistant(first.text), user("And?"));
    engine.use({});
    const answer = await ask(key, messages);
    expect(answer.text).toBe((await cold(messages)).text);
    expect(answer.cached).toBeGreaterThan(0);
  });

  test("after an abort", async () => {
    const key = newKey();
    const messages = await talk(key, 2);
    engine.use({ delayMilliseconds: 5 });
    const response = await request(
      "/v1/chat/completions",
      json(
        { model: "tiny", messages: [...messages, user("Go on.")], stream: true, max_tokens: 300, ignore_eos: true },
        { authorization: `Bearer ${key}` },
      ),
    );
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    for (let reads = 0; reads < 4; reads++) await reader.read();
    await reader.cancel();
    await expect.poll(() => engine.running).toBe(0);
    engine.use({});
    const next = [...messages, user("Go on."), assistant("No."), user("Why?")];
    const answer = await ask(key, next);
    expect(answer.text).toBe((await cold(next)).text);
    expect(answer.cached).toBeGreaterThan(0);
  });
});

describe("a prefix that many conversations share", () => {
  test("is kept from its third coming on", async () => {
    const key = newKey();
    const system = { role: "system", content: longText.repeat(8) };
    const cached: number[] = [];
    for (let at = 0; at < 5; at++) {
      const messages = [system, user(`Question ${String(at)} ${crypto.randomUUID()}`)];
      const answer = await ask(key, messages);
      expect(answer.text).toBe((await cold(messages)).text);
      cached.push(answer.cached);
    }
    expect(cached.slice(0, 2)).toEqual([0, 0]);
    expect(Math.min(...cached.slice(3))).toBeGreaterThan(longText.length * 7);
  });
});

describe("others", () => {
  test("find nothing of it, and are told nothing", async () => {
    const messages = [...(await talk("sk-alice-of-cache", 2)), user("And?")];
    const mine = await ask("sk-alice-of-cache", messages);
    const theirs = await ask("sk-mallory-of-cache", messages);
    expect(mine.cached).toBeGreaterThan(0);
    expect(theirs.cached).toBe(0);
    expect(theirs.header).toMatch(/^miss/);
    expect(theirs.text).toBe(mine.text);
  });

  test("without a key nothing is kept", async () => {
    const body = { model: "tiny", messages: [user(longText)], temperature: 0, max_tokens: 4, ignore_eos: true };
    await request("/v1/chat/completions", json(body));
    const response = await request("/v1/chat/completions", json(body));
    expect(response.headers.get("x-spikingbrain-cache")).toBe('miss; tokens=0; reason="no key, so nothing is kept"');
  });
});

describe("an engine that fails", () => {
  test("by refusing the state: the answer is read from the beginning, and says so", async () => {
    const key = newKey();
    const messages = [...(await talk(key, 2)), user("And?")];
    const oracle = await cold(messages);
    engine.use({ rejectStates: 1 });
    const answer = await ask(key, messages);
    expect(answer.text).toBe(oracle.text);
    expect(answer.header).toBe('rejected; tokens=0; reason="the engine refused the state"');
    expect(answer.cached).toBe(0);
  });

  test("by losing the state half-way: the answer goes on from it", async () => {
    const key = newKey();
    const messages = [...(await talk(key, 2)), user("And?")];
    const oracle = await cold(messages);
    engine.use({ loseStateAfter: { tokens: 4, times: 2 } });
    const answer = await ask(key, messages);
    expect(answer.text).toBe(oracle.text);
    expect(answer.cached).toBeGreaterThan(0);
    expect(engine.calls).toHaveLength(3);
  });

  test("while it saves: the answer is whole, and the next one reads more", async () => {
    const key = newKey();
    const messages = await talk(key, 1);
    engine.use({ failSaveAfterBytes: 100 });
    messages.push(user("And?"));
    messages.push(assistant((await ask(key, messages)).text));
    engine.use({});
    messages.push(user("And then?"));
    const answer = await ask(key, messages);
    expect(answer.text).toBe((await cold(messages)).text);
    expect(answer.cached).toBeGreaterThan(0);
  });
});
