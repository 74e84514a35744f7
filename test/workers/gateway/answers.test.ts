import { beforeEach, expect, test } from "vitest";
import { chat, chatChunks, complete, contentOf, failure, payloads } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { scriptedFailure } from "../support/toy-backend.ts";
import { bytesAsTokens, endOfTurn, idOf, tinyManifest } from "../support/tiny-tokenizer.ts";

beforeEach(() => engine.use({ reply: [idOf("hello"), idOf("Ġworld")] }));

test("a chat answer", async () => {
  const response = await chat({});
  const id = response.headers.get("x-request-id") ?? "";
  expect(await response.json()).toEqual({
    id: `chatcmpl-${id}`,
    object: "chat.completion",
    created: expect.any(Number) as number,
    model: "tiny",
    system_fingerprint: "fp_0000000000_toy",
    choices: [{ index: 0, message: { role: "assistant", content: "hello world", refusal: null }, logprobs: null, finish_reason: "stop" }],
    usage: { prompt_tokens: 21, completion_tokens: 2, total_tokens: 23, prompt_tokens_details: { cached_tokens: 0 } },
  });
  const prompt = bytesAsTokens("user\nhi");
  expect(Array.from(engine.calls[0]?.prompt ?? [])).toEqual([
    idOf("<|im_start|>"),
    ...prompt,
    endOfTurn,
    ...bytesAsTokens("\n"),
    idOf("<|im_start|>"),
    ...bytesAsTokens("assistant\n"),
  ]);
  expect(engine.calls[0]).toMatchObject({ stopTokens: [endOfTurn], maxTokens: tinyManifest.contextLength - 21 });
});

test("finish_reason is length when it was, and the stop token is not counted", async () => {
  expect(await (await chat({ max_tokens: 1 })).json()).toMatchObject({
    choices: [{ finish_reason: "length" }],
    usage: { completion_tokens: 1 },
  });
  expect(await (await chat({ max_tokens: 2 })).json()).toMatchObject({
    choices: [{ finish_reason: "length" }],
    usage: { completion_tokens: 2 },
  });
  expect(await (await chat({ max_tokens: 3 })).json()).toMatchObject({
    choices: [{ finish_reason: "stop" }],
    usage: { completion_tokens: 2 },
  });
});

test("a final assistant message is continued", async () => {
  await chat({
    messages: [
      { role: "user", content: "hi" },
      { role: "assistant", content: "hel" },
    ],
  });
  const prompt = Array.from(engine.calls[0]?.prompt ?? []);
  expect(prompt.slice(-4)).toEqual([...bytesAsTokens("t\n"), idOf("he"), idOf("l")]);
  expect(prompt.filter((id) => id === endOfTurn)).toHaveLength(1);
});

test("the names of control tokens in a message stay text; in a raw prompt they are control tokens", async () => {
  await chat({ messages: [{ role: "user", content: "<|im_end|>" }] });
  await complete({ prompt: "a<|im_end|>" });
  expect(Array.from(engine.calls[0]?.prompt ?? []).filter((id) => id === endOfTurn)).toHaveLength(1);
  expect(Array.from(engine.calls[1]?.prompt ?? [])).toEqual([...bytesAsTokens("a"), endOfTurn]);
});

test("characters of several tokens never break across events", async () => {
  const text = "naïve 你好 👩‍👩‍👧 ✓";
  engine.use({ reply: bytesAsTokens(text) });
  const chunks = await chatChunks(await chat({ stream: true }));
  expect(contentOf(chunks)).toBe(text);
  expect(JSON.stringify(chunks)).not.toContain("\ufffd");
  expect(chunks.length).toBeLessThan(bytesAsTokens(text).length);
});

test("a character that is cut off by the limit is shown as a replacement", async () => {
  engine.use({ reply: bytesAsTokens("a你") });
  expect(await (await chat({ max_tokens: 3 })).json()).toMatchObject({
    choices: [{ message: { content: "a\ufffd" }, finish_reason: "length" }],
  });
});

test("several choices: own seeds, interleaved streams, one usage", async () => {
  engine.use({ replies: [bytesAsTokens("one"), bytesAsTokens("two"), bytesAsTokens("three")] });
  const chunks = await chatChunks(await chat({ n: 3, seed: 7, stream: true, stream_options: { include_usage: true } }));
  expect([0, 1, 2].map((index) => contentOf(chunks, index))).toEqual(["one", "two", "three"]);
  expect(chunks.filter((chunk) => chunk.choices[0]?.finish_reason === "stop")).toHaveLength(3);
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 21, completion_tokens: 11, total_tokens: 32 } });
  expect(engine.calls.map((call) => call.sampling.seed)).toEqual([7, 8, 9]);
  const order = chunks.flatMap((chunk) => chunk.choices.filter((choice) => choice.delta.content).map((choice) => choice.index));
  expect(order.indexOf(2)).toBeLessThan(order.lastIndexOf(0));
});

test("when one choice fails the others are let go", async () => {
  engine.use({ refuse: scriptedFailure, refuseCall: 1, delayMilliseconds: 5 });
  const response = await chat({ n: 3, max_tokens: 100, ignore_eos: true });
  expect(response.status).toBe(503);
  await expect.poll(() => engine.running).toBe(0);
});

test("same seed, same text; another seed, another text", async () => {
  engine.use({});
  const text = async (seed: number) => {
    const answer = await (
      await complete({ temperature: 1, seed, max_tokens: 20, ignore_eos: true })
    ).json<{ choices: [{ text: string }] }>();
    return answer.choices[0].text;
  };
  const first = await text(1);
  expect(await text(1)).toBe(first);
  expect(await text(2)).not.toBe(first);
});

test("prompts as strings, as token ids, and as several of each", async () => {
  engine.use({ replies: [bytesAsTokens("x"), bytesAsTokens("y")] });
  const two = {
    choices: [
      { index: 0, text: "x" },
      { index: 1, text: "y" },
    ],
    usage: { prompt_tokens: 3, completion_tokens: 2 },
  };
  expect(await (await complete({ prompt: ["a", "bc"] })).json()).toMatchObject(two);
  engine.calls = [];
  expect(await (await complete({ prompt: [[5], [6, 7]] })).json()).toMatchObject(two);
  expect(engine.calls.map((call) => Array.from(call.prompt))).toEqual([[5], [6, 7]]);
  engine.use({ reply: bytesAsTokens("x") });
  expect(await (await complete({ prompt: [5, 6, 7] })).json()).toMatchObject({ choices: [{ text: "x" }], usage: { prompt_tokens: 3 } });
  expect(engine.calls[0]?.maxTokens).toBe(16);
});

test("a prompt that is too long is refused with its figures, never cut", async () => {
  const tooLong = await chat({ messages: [{ role: "user", content: "a".repeat(600) }] });
  expect(tooLong.status).toBe(400);
  expect(await failure(tooLong)).toMatchObject({
    code: "context_length_exceeded",
    param: "messages",
    message: expect.stringContaining("512") as string,
  });
  const tooMany = await failure(await complete({ prompt: "a".repeat(500), max_tokens: 20 }));
  expect(tooMany).toMatchObject({ code: "context_length_exceeded", param: "prompt" });
  for (const figure of ["512", "520", "500", "20"]) expect(tooMany.message).toContain(figure);
  expect(engine.calls).toHaveLength(0);
  expect((await complete({ prompt: "a".repeat(500), max_tokens: 12 })).status).toBe(200);
  expect((await complete({ prompt: "a".repeat(512), max_tokens: 0 })).status).toBe(200);
  expect((await complete({ prompt: "a".repeat(512) })).status).toBe(400);
});

test("chat log-probabilities carry tokens, bytes and alternatives", async () => {
  engine.use({ reply: [idOf("hello"), ...bytesAsTokens("é")] });
  const answer = await (
    await chat({ logprobs: true, top_logprobs: 2 })
  ).json<{ choices: [{ logprobs: { content: { token: string; bytes: number[]; top_logprobs: object[] }[] } }] }>();
  const content = answer.choices[0].logprobs.content;
  expect(content.map(({ token, bytes }) => [token, bytes])).toEqual([
    ["hello", [104, 101, 108, 108, 111]],
    ["bytes:\\xc3", [195]],
    ["bytes:\\xa9", [169]],
  ]);
  expect(content.every((entry) => entry.top_logprobs.length === 2)).toBe(true);
  const streamed = await chatChunks(await chat({ logprobs: true, stream: true }));
  const tokens = streamed.flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? []);
  expect(tokens.map(({ token }) => token)).toEqual(content.map(({ token }) => token));
});

interface Scored {
  readonly choices: [
    {
      text: string;
      logprobs: {
        tokens: string[];
        token_logprobs: (number | null)[];
        top_logprobs: (Record<string, number> | null)[];
        text_offset: number[];
      };
    },
  ];
  readonly usage: { completion_tokens: number };
}

test("echo scores the prompt in OpenAI's legacy shape, also when nothing is generated", async () => {
  engine.use({ reply: [idOf("hello")] });
  const scored = await (await complete({ prompt: "é hi", echo: true, logprobs: 2, max_tokens: 0 })).json<Scored>();
  const { text, logprobs } = scored.choices[0];
  expect(text).toBe("é hi");
  expect(logprobs.tokens).toEqual(["bytes:\\xc3", "bytes:\\xa9", " ", "h", "i"]);
  expect(logprobs.text_offset).toEqual([0, 0, 1, 2, 3]);
  expect(logprobs.token_logprobs[0]).toBeNull();
  expect(logprobs.top_logprobs[0]).toBeNull();
  for (const [at, logprob] of logprobs.token_logprobs.slice(1).entries()) {
    expect(logprob).toBeLessThan(0);
    const top = logprobs.top_logprobs[at + 1] ?? {};
    expect(top[logprobs.tokens[at + 1] ?? ""]).toBe(logprob);
    expect(Object.keys(top).length).toBeGreaterThanOrEqual(2);
    expect(Object.keys(top).length).toBeLessThanOrEqual(3);
  }
  expect(scored.usage.completion_tokens).toBe(0);

  const more = await (await complete({ prompt: "é hi", echo: true, logprobs: 2, max_tokens: 1 })).json<Scored>();
  expect(more.choices[0].text).toBe("é hihello");
  expect(more.choices[0].logprobs.tokens).toEqual([...logprobs.tokens, "hello"]);
  expect(more.choices[0].logprobs.text_offset).toEqual([0, 0, 1, 2, 3, 4]);
  expect(more.choices[0].logprobs.token_logprobs.slice(0, 5)).toEqual(logprobs.token_logprobs);

  const plain = await (await complete({ prompt: [idOf("hello")], echo: true, max_tokens: 1 })).json<{ choices: object[] }>();
  expect(plain.choices).toEqual([{ index: 0, text: "hellohello", logprobs: null, finish_reason: "length" }]);
});

test("an echo is streamed before the completion", async () => {
  const lines = await payloads(await complete({ prompt: "hi ", echo: true, logprobs: 0, stream: true }));
  const texts = lines.slice(0, -1).map((line) => (JSON.parse(line) as Scored).choices[0].text);
  expect(texts).toEqual(["hi ", "hello", " world", ""]);
});
