/** How an answer's events lie in the chunks of its stream: the first token alone and at once, what comes faster than it can be told apart together. */
import { afterEach, expect, test, vi } from "vitest";
import type { GenerateEvent } from "../../../../workers/contracts/engine.ts";
import { decodeEvents } from "../../../../workers/contracts/event-stream.ts";
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

type Told = Generator<string, void> | AsyncGenerator<string, void>;

const told = (ids: readonly number[], finish: string | null = null): string =>
  `data: ${JSON.stringify({ model: "m", choices: [{ text: "", token_ids: ids, finish_reason: finish }] })}\n\n`;
const done = "data: [DONE]\n\n";
const finish: GenerateEvent = { type: "finish", reason: "length", usage: { promptTokens: 1, completionTokens: amount, cachedTokens: 0 } };
const tokens = Array.from({ length: amount }, (_unused, id) => token(id));

/** The stream of a server whose body has these chunks; it is held open behind them where `staysOpen`. */
async function opened(chunks: Told, staysOpen = false): Promise<ReadableStream<Uint8Array>> {
  const leave = Promise.withResolvers<never>();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await Promise.race([chunks.next(), leave.promise]);
      if (next.done !== true) controller.enqueue(new TextEncoder().encode(next.value));
      else if (staysOpen) await leave.promise;
      else controller.close();
    },
  });
  const backend = new OpenAiBackend(({ signal }) => {
    signal.addEventListener("abort", () => {
      leave.reject(new Error("the request was ended"));
    });
    return Promise.resolve(new Response(body, { headers: { "content-type": "text/event-stream" } }));
  });
  leave.promise.catch(() => undefined);
  const outcome = await backend.generate(callOf(model, request));
  if (!outcome.ok) throw new Error(outcome.failure.message);
  return outcome.value;
}

function* atOnce(): Told {
  for (let id = 0; id < amount; id++) yield told([id], id === amount - 1 ? "length" : null);
  yield done;
}

async function* every15Milliseconds(): Told {
  for (let id = 0; id < amount; id++) {
    yield told([id], id === amount - 1 ? "length" : null);
    await pause(15);
  }
  yield done;
}

async function* pairsEvery50Milliseconds(): Told {
  for (let id = 0; id < amount; id++) {
    yield told([id], id === amount - 1 ? "length" : null);
    if (id % 2 === 1) await pause(50);
  }
  yield done;
}

/** What the stream's chunks hold, while timers go on in steps of five milliseconds, and by so much more the clock. */
async function chunksInTime(stream: ReadableStream<Uint8Array>, late = 0): Promise<GenerateEvent[][]> {
  const reading = { isOver: false };
  const read = chunksOf(stream).finally(() => {
    reading.isOver = true;
  });
  while (!reading.isOver) {
    vi.setSystemTime(Date.now() + late);
    await vi.advanceTimersByTimeAsync(5);
  }
  return await read;
}

const withFakeTime = (): void => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
};

test("the first token goes on alone, those that follow it at once go on together, and all of them in their order", async () => {
  withFakeTime();
  const chunks = await chunksInTime(await opened(atOnce()));
  expect(chunks[0]).toEqual([token(0)]);
  expect(chunks.length).toBeLessThan(amount / 2);
  expect(chunks.flat()).toEqual([...tokens, finish]);
  // The end goes with what came before it.
  expect(chunks.at(-1)?.length).toBeGreaterThan(1);
});

test("tokens that come with an end which cannot be are told before the error", async () => {
  function* chunks(): Told {
    yield told([0, 1], "length") + done;
  }
  const events: GenerateEvent[] = [];
  for await (const event of decodeEvents(await opened(chunks()))) events.push(event);
  expect(events).toEqual([token(0), token(1), { type: "error", failure: expect.objectContaining({ retryable: true }) as object }]);
});

test("the first token waits for nothing, though events without one came before it", async () => {
  withFakeTime();
  const begin = Date.now();
  const arrivals: number[] = [];
  async function* chunks(): Told {
    yield told([]);
    yield told([]);
    yield told([0]);
    await pause(1_000);
  }
  const reader = (await opened(chunks())).getReader();
  void reader.read().then(() => arrivals.push(Date.now() - begin));
  await vi.advanceTimersByTimeAsync(1);
  expect(arrivals).toEqual([expect.toSatisfy((after: number) => after <= 1)]);
  await reader.cancel();
});

test("an answer's end waits for nothing, though its server keeps the connection", async () => {
  withFakeTime();
  const begin = Date.now();
  const read = chunksOf(await opened(atOnce(), true));
  await vi.advanceTimersByTimeAsync(5);
  expect((await read).flat()).toEqual([...tokens, finish]);
  expect(Date.now() - begin).toBeLessThanOrEqual(5);
});

test("what waits for more is told before the connection that breaks meanwhile", async () => {
  function* chunks(): Told {
    for (let id = 0; id < 5; id++) yield told([id]);
    throw new Error("the connection was cut");
  }
  const events: GenerateEvent[] = [];
  for await (const event of decodeEvents(await opened(chunks()))) events.push(event);
  expect(events.slice(0, -1)).toEqual(tokens.slice(0, 5));
  expect(events.at(-1)).toMatchObject({ type: "error", failure: { retryable: true } });
});

/** Streams that have begun and do not go on. */
async function begunStreams(amount: number): Promise<{ leave(): Promise<void> }> {
  async function* waits(): Told {
    yield told([0]);
    await new Promise(() => undefined);
  }
  const readers = await Promise.all(Array.from({ length: amount }, async () => (await opened(waits())).getReader()));
  await Promise.all(readers.map((reader) => reader.read()));
  return {
    async leave() {
      await Promise.all(readers.map((reader) => reader.cancel()));
    },
  };
}

test.each([
  ["alone, tokens that come every 15 ms", every15Milliseconds, 0, amount, amount],
  ["alone, tokens that come in pairs", pairsEvery50Milliseconds, 0, amount, amount],
  ["beside twelve others, tokens that come in pairs", pairsEvery50Milliseconds, 12, amount / 4, amount / 2],
  ["beside forty others, tokens that come every 15 ms", every15Milliseconds, 40, 1, amount / 4],
])("of a stream %s lie in so many chunks as may be", async (_name, source, others, least, most) => {
  withFakeTime();
  const running = await begunStreams(others);
  const chunks = await chunksInTime(await opened(source()));
  expect(chunks.flat()).toEqual([...tokens, finish]);
  expect(chunks[0]).toEqual([token(0)]);
  expect(chunks.length).toBeGreaterThanOrEqual(least);
  expect(chunks.length).toBeLessThanOrEqual(most + 1);
  await running.leave();
});

test.each([
  [0, 0, 20],
  [12, 100, 225],
])("where timers ended late, a token of a stream beside %d others waits for more from %d to %d ms", async (others, least, most) => {
  withFakeTime();
  async function* stops(): Told {
    yield told([0]);
    yield told([1]);
    await new Promise(() => undefined);
  }
  await chunksInTime(await opened(pairsEvery50Milliseconds()), 20);
  const running = await begunStreams(others);
  const reader = (await opened(stops())).getReader();
  await reader.read();
  const begin = Date.now();
  const second = { isThere: false };
  void reader.read().then(() => (second.isThere = true));
  while (!second.isThere) await vi.advanceTimersByTimeAsync(5);
  expect(Date.now() - begin).toSatisfy((held: number) => held >= least && held <= most);
  await reader.cancel();
  await running.leave();
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
