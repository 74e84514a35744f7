/** A second replica beside one that is slow with its first token: through the whole stack, and case by case. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { decodeEvents, encodeEvent, encodeHeartbeat } from "../../../workers/contracts/event-stream.ts";
import type { GenerateEvent } from "../../../workers/contracts/engine.ts";
import type { Begun } from "../../../workers/pool/begin.ts";
import { hedged } from "../../../workers/pool/hedge.ts";
import { pause } from "../../../workers/waiting/within.ts";
import { engine } from "../support/gateway-worker.ts";
import { ask, got } from "./answers.ts";
import { Replicas, setPoolVariables } from "./troubled-replicas.ts";

const usage = { promptTokens: 1, completionTokens: 1, cachedTokens: 0 };
const answer = (id: number): GenerateEvent[] => [
  { type: "token", id },
  { type: "finish", reason: "length", usage },
];
const failed: GenerateEvent[] = [
  { type: "error", failure: { code: "engine_unavailable", status: 502, message: "broke", retryable: true } },
];

/** Sends its events after so long, with signs of life before. */
function begun(backend: string, milliseconds: number, events: readonly GenerateEvent[]) {
  const cancelled = vi.fn();
  const left = [encodeHeartbeat(), ...events.map(encodeEvent)];
  let first = true;
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (!first && left.length === events.length) await pause(milliseconds);
        first = false;
        const next = left.shift();
        if (next === undefined) controller.close();
        else controller.enqueue(next);
      },
      cancel: cancelled,
    },
    { highWaterMark: 0 },
  );
  const value: Begun = { placed: { backend, kind: "vllm", reasons: [] }, events: stream };
  return { value, cancelled };
}

async function eventsOf({ events }: Begun): Promise<GenerateEvent[]> {
  const all: GenerateEvent[] = [];
  for await (const event of decodeEvents(events)) all.push(event);
  return all;
}

describe("of two", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each<[name: string, first: [number, GenerateEvent[]], second: [number, GenerateEvent[]] | undefined, winner: string]>([
    ["a first one in time is alone", [0, answer(1)], undefined, "one"],
    ["the first one that comes answers", [300, answer(1)], [0, answer(2)], "two"],
    ["also where that is the one that was asked first", [100, answer(1)], [300, answer(2)], "one"],
    ["one that fails loses", [300, answer(1)], [0, failed], "one"],
    ["where both fail, a failure is all there is", [100, failed], [0, failed], "two"],
  ])("%s", async (_name, [late, events], other, winner) => {
    vi.useFakeTimers();
    const one = begun("one", late, events);
    const two = other === undefined ? undefined : begun("two", ...other);
    const second = vi.fn(() => Promise.resolve(two?.value));
    const hedging = hedged(one.value, 50, second);
    await vi.runAllTimersAsync();
    const won = await hedging;
    expect(won.placed.backend).toBe(winner);
    expect(await eventsOf(won)).toEqual(winner === "one" ? events : other?.[1]);
    expect(second).toHaveBeenCalledTimes(other === undefined ? 0 : 1);
    if (two !== undefined) expect((winner === "one" ? two : one).cancelled).toHaveBeenCalledOnce();
  });

  test("where there is no second, the first one's time is its own", async () => {
    vi.useFakeTimers();
    const one = begun("one", 100, answer(1));
    const hedging = hedged(one.value, 10, () => Promise.resolve(undefined)).then(eventsOf);
    await vi.runAllTimersAsync();
    expect(await hedging).toEqual(answer(1));
  });

  test("a reader that leaves reaches the one that answers", async () => {
    const one = begun("one", 0, answer(1));
    await (await hedged(one.value, 50, () => Promise.resolve(undefined))).events.cancel();
    expect(one.cancelled).toHaveBeenCalledOnce();
  });
});

describe("requests", () => {
  let pool: Replicas;
  beforeAll(() => setPoolVariables({ POOL_HEDGE_SECONDS: "0.1", POOL_FIRST_TOKEN_SECONDS: "2" }));
  afterAll(async () => {
    setPoolVariables({ POOL_HEDGE_SECONDS: undefined, POOL_FIRST_TOKEN_SECONDS: undefined });
    await pool.leave();
  });
  beforeEach(async () => {
    engine.use({});
    pool = new Replicas(2);
    await pool.join();
  });

  test.each([
    [true, 2],
    [false, 1],
  ])("with hedge %s: a slow first token costs %i requests", async (hedge, requests) => {
    const [one, two] = pool.all;
    if (one === undefined || two === undefined) throw new Error("there are two");
    const whole = await got(await ask({ temperature: 0 }));
    one.seen.length = 0;
    two.seen.length = 0;
    // Whichever is asked first is slow.
    pool.troubles = [{ how: "late", at: 0 }];
    const answered = await got(await ask({ temperature: 0, hedge }));
    expect(answered.chunks).toEqual(whole.chunks);
    expect(pool.requests).toBe(requests);
    await vi.waitFor(() => expect(pool.running).toBe(0));
  });
});
