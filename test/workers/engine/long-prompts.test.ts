/** Prompts far longer than any window: what is told while they are read, what they hold up, and what may wait. */
import { describe, expect, it } from "vitest";
import { collect, request, tokensOf } from "./requests.ts";
import { bench, expectedTokens, longPrompt } from "./scheduler-bench.ts";

const long = longPrompt(20_000);
const constant = { windowTokens: 512, memoryBytes: 6000, contextLength: 100_000 } as const;

describe("a prompt of 20,000 tokens over a state of constant size", () => {
  it("is read in a state's memory, and tells how far it is", async () => {
    const { scheduler, engine, settled } = bench(constant);
    const events = await collect(scheduler.submit(request({ prompt: long, maxTokens: 3, reportState: true })));
    expect(tokensOf(events)).toEqual(expectedTokens(long, 3));
    const reading = events.flatMap((event) => (event.type === "read" ? [event.state] : []));
    expect(reading).toEqual(
      Array.from({ length: 78 }, (_unused, at) => ({ tokens: 256 * (at + 1), bytes: 10 * Math.min(256 * (at + 1), 512) })),
    );
    const answering = events.flatMap((event) => (event.type === "token" || event.type === "finish" ? [event.state] : []));
    expect(answering).toEqual([20_000, 20_001, 20_002, 20_002].map((tokens) => ({ tokens, bytes: 5120 })));
    expect(engine.evictions).toBe(0);
    await settled();
  });

  it("shows a reader that it lives, and asks for time before the runtime's is over", async () => {
    const { scheduler, renewals } = bench({ ...constant, stepMilliseconds: 500 });
    const outcome = scheduler.submit(request({ prompt: long, maxTokens: 1 }));
    const text = await new Response(outcome.ok ? outcome.value : null).text();
    const steps = Math.ceil(long.length / 64);
    // The silence begins with the first look at the stream.
    const heartbeats = text.split("\n").filter((line) => line === "").length - 1;
    expect(heartbeats).toBeGreaterThanOrEqual(steps - 2);
    expect(heartbeats).toBeLessThanOrEqual(steps);
    const gaps = renewals.map((at, index) => at - (renewals[index - 1] ?? 0));
    expect(gaps).toEqual(gaps.map(() => 15_000));
    expect(renewals).toHaveLength(Math.floor((steps * 500) / 15_000));
  });

  it("does not hold up a chat that fits beside it", async () => {
    const { scheduler } = bench({ ...constant, memoryBytes: 12_000 });
    const order: string[] = [];
    const run = async (name: string, prompt: readonly number[]): Promise<void> => {
      await collect(scheduler.submit(request({ prompt, maxTokens: 20 })));
      order.push(name);
    };
    await Promise.all([run("long", long), run("short", longPrompt(40))]);
    expect(order).toEqual(["short", "long"]);
  });
});

describe("a long prompt beside an answer", () => {
  it("takes as much time as the answer and no more, and all of it once it is alone", async () => {
    const { scheduler, engine } = bench({ ...constant, memoryBytes: 20_000, tokenMilliseconds: 1 });
    const text = longPrompt(2000);
    const answer = collect(scheduler.submit(request({ prompt: [1, 2, 3], maxTokens: 100 })));
    const events = await collect(scheduler.submit(request({ prompt: text, maxTokens: 1 })));
    expect(tokensOf(events)).toEqual(expectedTokens(text, 1));
    expect(tokensOf(await answer)).toEqual(expectedTokens([1, 2, 3], 100));
    // A pass of both takes 35 milliseconds, or 33; then come as many that take one each.
    const both = [3, 1, 1].map((own) => [2, 32, 1, own]);
    const alone = (count: number) => Array.from({ length: count }, () => [1, 1]);
    const begin = [both[0], ...alone(35), both[1], ...alone(33), both[2]];
    expect(engine.plans.slice(0, begin.length)).toEqual(begin);
    expect(engine.plans.slice(100, 103)).toEqual([
      [2, 64],
      [2, 64],
      [2, 64],
    ]);
  });

  it("does not hold up a message, which is read whole", async () => {
    const { scheduler, engine } = bench({ ...constant, memoryBytes: 20_000, tokenMilliseconds: 1 });
    const reading = collect(scheduler.submit(request({ prompt: longPrompt(2000), maxTokens: 1 })));
    const message = collect(scheduler.submit(request({ prompt: longPrompt(40), maxTokens: 1 })));
    await Promise.all([reading, message]);
    expect(engine.plans.slice(0, 2)).toEqual([
      [1, 32, 2, 40],
      [1, 64],
    ]);
  });

  it("is read on, however many messages come", async () => {
    const { scheduler, engine } = bench({ ...constant, memoryBytes: 40_000, tokenMilliseconds: 1 });
    const reading = collect(scheduler.submit(request({ prompt: longPrompt(2000), maxTokens: 1 })));
    const messages = Array.from({ length: 40 }, (_, at) =>
      collect(scheduler.submit(request({ prompt: longPrompt(200, at), maxTokens: 1 }))),
    );
    await Promise.all([reading, ...messages]);
    const read = engine.plans.map((plan) => (plan.includes(1) && plan.indexOf(1) % 2 === 0 ? plan[plan.indexOf(1) + 1] : 0));
    // A pass of a message's 64 tokens and the prompt's 32 is followed by two of 64 without the prompt.
    expect(read.slice(0, 6)).toEqual([32, 0, 0, 32, 0, 0]);
  });
});

describe("what may wait", () => {
  it("is bounded by the tokens of all prompts, but a prompt alone may always", async () => {
    const { scheduler } = bench({ ...constant, limits: { waitingTokens: 30_000 } });
    const first = scheduler.submit(request({ prompt: longPrompt(35_000), maxTokens: 1 }));
    const second = scheduler.submit(request({ prompt: long, maxTokens: 1 }));
    expect(second).toMatchObject({ ok: false, failure: { code: "overloaded", status: 503, retryAfterSeconds: 5 } });
    expect(second.ok ? "" : second.failure.message).toMatch(/35000 tokens are waiting; with this one of 20000/);
    expect((await collect(first)).at(-1)).toMatchObject({ type: "finish" });
    expect(tokensOf(await collect(scheduler.submit(request({ prompt: long, maxTokens: 1 }))))).toEqual(expectedTokens(long, 1));
  });
});
