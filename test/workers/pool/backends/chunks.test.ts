/** How an answer's events lie in the chunks of its stream: the first token alone and at once, what comes faster than it can be told apart together. */
import { afterEach, expect, test, vi } from "vitest";
import type { GenerateEvent } from "../../../../workers/contracts/engine.ts";
import { decodeEvents } from "../../../../workers/contracts/event-stream.ts";
import { FakeBackend } from "../../../../workers/pool/backends/fake.ts";
import { OpenAiBackend } from "../../../../workers/pool/backends/openai.ts";
import { greedy } from "../../../contract/generation.ts";
import { callOf } from "../../../contract/replica/as-backend.ts";
import { pause } from "../../../../workers/waiting/within.ts";

afterEach(() => {
  vi.useRealTimers();
});

const model = {
  ...{ id: "m", digest: "d".repeat(64), tokenizerDigest: "t".repeat(64), architecture: "toy", parameters: 0, vocabularySize: 100 },
  ...{ contextLength: 200, abilities: [], kernel: "toy" },
};
const amount = 64;
const request = { ...greedy([1]), model, maxTokens: amount };
const token = (id: number): GenerateEvent => ({ type: "token", id });

const streamOf = (bytes: Uint8Array): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });

async function chunksOf(stream: ReadableStream<Uint8Array>): Promise<GenerateEvent[][]> {
  const chunks: GenerateEvent[][] = [];
  for await (const chunk of stream) {
    const events: GenerateEvent[] = [];
    for await (const event of decodeEvents(streamOf(chunk))) events.push(event);
    // A chunk that is no whole answer is told to end too early.
    chunks.push(chunk.at(-2) === undefined || events.at(-1)?.type === "finish" ? events : events.slice(0, -1));
  }
  return chunks;
}

test("the first token goes on alone, those that follow it at once go on together, and all of them in their order", async () => {
  const finish: GenerateEvent = { type: "finish", reason: "length", usage: { promptTokens: 1, completionTokens: amount, cachedTokens: 0 } };
  const tokens = Array.from({ length: amount }, (_unused, id) => token(id));
  const backend = new FakeBackend({
    async *answers() {
      for (const event of [...tokens, finish]) yield await Promise.resolve(event);
    },
  });
  const outcome = await backend.generate(callOf(model, request));
  if (!outcome.ok) throw new Error(outcome.failure.message);
  const chunks = await chunksOf(outcome.value);
  expect(chunks[0]).toEqual([token(0)]);
  expect(chunks.length).toBeLessThan(amount / 2);
  expect(chunks.flat()).toEqual([...tokens, finish]);
});

test.each([
  ["alone", 0, amount],
  ["beside forty others", 40, amount / 4],
])("of a stream %s, tokens that come every 15 ms lie in so many chunks as may be", async (_name, others, most) => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  const open = async (answers: ConstructorParameters<typeof FakeBackend>[0]["answers"]) => {
    const outcome = await new FakeBackend({ answers }).generate(callOf(model, request));
    if (!outcome.ok) throw new Error(outcome.failure.message);
    return outcome.value;
  };
  const waiting = Array.from({ length: others }, () =>
    open(async function* (_call, gone) {
      yield token(0);
      await new Promise((resolve) => gone.addEventListener("abort", resolve));
    }),
  );
  const finish: GenerateEvent = { type: "finish", reason: "length", usage: { promptTokens: 1, completionTokens: amount, cachedTokens: 0 } };
  const stream = await open(async function* () {
    for (let id = 0; id < amount; id++) {
      yield token(id);
      await pause(15);
    }
    yield finish;
  });
  const reading = { isOver: false };
  const read = chunksOf(stream).finally(() => {
    reading.isOver = true;
  });
  while (!reading.isOver) await vi.advanceTimersByTimeAsync(5);
  const chunks = await read;
  expect(chunks.flat()).toEqual([...Array.from({ length: amount }, (_unused, id) => token(id)), finish]);
  expect(chunks[0]).toEqual([token(0)]);
  expect(chunks.length).toBeLessThanOrEqual(most + 1);
  if (others === 0) expect(chunks.length).toBeGreaterThanOrEqual(amount);
  for (const one of waiting) await (await one).cancel();
});

test("tokens that come in one chunk with an event that cannot be are told before the error", async () => {
  const choice = (choices: object) => `data: ${JSON.stringify({ model: "m", choices: [choices] })}\n\n`;
  const good = [1, 2, 3].map((id) => choice({ text: "", token_ids: [id], finish_reason: null })).join("");
  const body = `${good}${choice({ text: "", token_ids: ["no id"] })}`;
  const backend = new OpenAiBackend(() => Promise.resolve(new Response(body, { headers: { "content-type": "text/event-stream" } })));
  const outcome = await backend.generate(callOf(model, request));
  if (!outcome.ok) throw new Error(outcome.failure.message);
  const events: GenerateEvent[] = [];
  for await (const event of decodeEvents(outcome.value)) events.push(event);
  expect(events).toEqual([
    token(1),
    token(2),
    token(3),
    { type: "error", failure: expect.objectContaining({ retryable: true }) as object },
  ]);
});
