import { describe, expect, it } from "vitest";
import { engineError } from "./fake-engine.ts";
import { collect, request, tokensOf } from "./requests.ts";
import { bench, expectedTokens, longPrompt } from "./scheduler-bench.ts";
import { pause } from "../../../workers/waiting/within.ts";

describe("one generation", () => {
  it("streams its tokens and ends with true usage", async () => {
    const { scheduler, engine, settled } = bench();
    const events = await collect(scheduler.submit(request({ prompt: [5, 6], maxTokens: 4 })));
    expect(tokensOf(events)).toEqual(expectedTokens([5, 6], 4));
    expect(events.at(-1)).toEqual({ type: "finish", reason: "length", usage: { promptTokens: 2, completionTokens: 4, cachedTokens: 0 } });
    await settled();
    expect(engine.openSequences).toBe(0);
    expect(scheduler.generatedTokens).toBe(4);
  });

  it("ends at a stop token, which is reported and not counted", async () => {
    const { scheduler } = bench();
    const tokens = expectedTokens([5, 6], 3);
    const events = await collect(scheduler.submit(request({ prompt: [5, 6], maxTokens: 50, stopTokens: [tokens[2] ?? 0] })));
    expect(tokensOf(events)).toEqual(tokens.slice(0, 2));
    expect(events.at(-1)).toMatchObject({ type: "finish", reason: "stop", stopToken: tokens[2], usage: { completionTokens: 2 } });
  });

  it("only scores the prompt with maxTokens 0", async () => {
    const { scheduler } = bench();
    const prompt = longPrompt(150);
    const events = await collect(scheduler.submit(request({ prompt, maxTokens: 0, promptLogprobs: 0 })));
    expect(events.map(({ type }) => type)).toEqual(["prompt", "finish"]);
    const [first] = events;
    expect(first?.type === "prompt" ? first.logprobs.map((candidate) => candidate?.id) : []).toEqual(prompt);
    expect(scheduler.generatedTokens).toBe(0);
  });

  it("gives what comes and goes beside a prompt more iterations of the event loop than beside other tokens", async () => {
    const { scheduler, iterations } = bench({ limits: { promptIterations: 4 } });
    await collect(scheduler.submit(request({ prompt: longPrompt(100), maxTokens: 3 })));
    // One before anything, four after each half of the prompt, the second of which brought the first token, one after each other token.
    expect(iterations).toEqual([0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4]);
  });

  it("gives others iterations after a long pass as long as they have something to do, and no more than a bound", async () => {
    const prompts = Array.from({ length: 8 }, (_, at) => [at + 1]);
    const iterationsWhere = async (iterationMilliseconds: readonly number[]): Promise<number[]> => {
      const { scheduler, iterations } = bench({ iterationMilliseconds, limits: { promptIterations: 1, mostIterations: 5 } });
      await Promise.all(prompts.map((prompt) => collect(scheduler.submit(request({ prompt, maxTokens: 3 })))));
      return iterations;
    };
    expect(await iterationsWhere([])).toEqual([0, 1, 2, 3]);
    expect(await iterationsWhere([0, 20, 3, 1])).toEqual([0, 1, 1, 1, 2, 3]);
    expect(await iterationsWhere([0, ...Array.from({ length: 99 }, () => 9)])).toEqual([0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3]);
    // A short pass is followed by one iteration, whatever others do.
    const { scheduler, iterations } = bench({
      iterationMilliseconds: Array.from({ length: 99 }, () => 9),
      limits: { promptIterations: 1, mostIterations: 5 },
    });
    await collect(scheduler.submit(request({ prompt: [1], maxTokens: 3 })));
    expect(iterations).toEqual([0, 1, 2, 3]);
  });

  it("cuts a long prompt at multiples of 32 and within the budget", async () => {
    const { scheduler, engine } = bench();
    await collect(scheduler.submit(request({ prompt: longPrompt(150), maxTokens: 1 })));
    expect(engine.plans.map(([, count]) => count)).toEqual([64, 64, 22]);
  });
});

describe("many generations", () => {
  it("gives each the tokens it would get alone, whatever their lengths", async () => {
    const { scheduler, engine, settled } = bench();
    const prompts = Array.from({ length: 40 }, (_, index) => longPrompt(1 + ((index * 13) % 90), index));
    const results = await Promise.all(
      prompts.map((prompt, index) => collect(scheduler.submit(request({ prompt, maxTokens: 1 + (index % 9) })))),
    );
    for (const [index, prompt] of prompts.entries())
      expect(tokensOf(results[index] ?? [])).toEqual(expectedTokens(prompt, 1 + (index % 9)));
    await settled();
    expect(engine.openSequences).toBe(0);
  });

  it("never lets a decoding stream miss a step while prompts are read", async () => {
    const { scheduler, engine } = bench();
    const first = collect(scheduler.submit(request({ prompt: [1], maxTokens: 30 })));
    const others = Array.from({ length: 5 }, (_, index) =>
      collect(scheduler.submit(request({ prompt: longPrompt(200, index), maxTokens: 1 }))),
    );
    await Promise.all([first, ...others]);
    for (const plan of engine.plans.slice(0, 15)) expect(plan.filter((_, index) => index % 2 === 0)).toContain(1);
  });

  it("shares the prefill budget, so that a short prompt overtakes a long one", async () => {
    const { scheduler } = bench();
    const order: string[] = [];
    const run = async (name: string, length: number): Promise<void> => {
      await collect(scheduler.submit(request({ prompt: longPrompt(length), maxTokens: 1 })));
      order.push(name);
    };
    await Promise.all([run("long", 3000), run("short", 40), run("shorter", 33)]);
    expect(order.at(-1)).toBe("long");
  });
});

describe("a sequence the model has no token for", () => {
  it("ends alone, with the engine's reason", async () => {
    const { scheduler, engine, defects, settled } = bench();
    const sample = engine.sample.bind(engine);
    engine.sample = (sequence) => {
      if (sequence === 1) throw engineError("unsupported_model", "unsupported model: its logits are not finite");
      return sample(sequence);
    };
    const [broken = [], whole = []] = await Promise.all(
      [[5], [6]].map((prompt) => collect(scheduler.submit(request({ prompt, maxTokens: 5 })))),
    );
    const message = "the model cannot be used: unsupported model: its logits are not finite";
    expect(broken).toMatchObject([{ type: "error", failure: { code: "model_invalid", message } }]);
    expect(tokensOf(whole)).toEqual(expectedTokens([6], 5));
    await settled();
    expect([defects, engine.openSequences]).toEqual([[], 0]);
  });
});

describe("memory", () => {
  it("evicts the youngest when growth does not fit, and still gives everybody the same tokens", async () => {
    // Two sequences of 40 + 60 tokens at 10 bytes: 2,000 bytes wanted in the end, 1,500 there.
    const { scheduler, engine, settled } = bench({ memoryBytes: 1500 });
    const prompts = [longPrompt(40, 1), longPrompt(40, 2)];
    const results = await Promise.all(prompts.map((prompt) => collect(scheduler.submit(request({ prompt, maxTokens: 60 })))));
    for (const [index, prompt] of prompts.entries()) expect(tokensOf(results[index] ?? [])).toEqual(expectedTokens(prompt, 60));
    expect(engine.evictions).toBeGreaterThan(0);
    await settled();
    expect(engine.freeStateBytes()).toBe(1500);
  });

  it("reports prompt log-probabilities once, also when evicted while reading or later", async () => {
    const { scheduler } = bench({ memoryBytes: 1500, limits: { growthTokens: 0 } });
    const prompts = [longPrompt(70, 1), longPrompt(70, 2)];
    const results = await Promise.all(
      prompts.map((prompt) => collect(scheduler.submit(request({ prompt, maxTokens: 20, promptLogprobs: 0 })))),
    );
    for (const [index, prompt] of prompts.entries()) {
      const reported = (results[index] ?? []).filter((event) => event.type === "prompt");
      expect(reported).toHaveLength(1);
      expect(reported[0]?.logprobs.map((candidate) => candidate?.id)).toEqual(prompt);
    }
  });

  it("lets what does not fit wait, first come first served", async () => {
    const { scheduler } = bench({ memoryBytes: 1000 });
    const order: number[] = [];
    await Promise.all(
      [0, 1, 2, 3].map(async (index) => {
        await collect(scheduler.submit(request({ prompt: longPrompt(80, index), maxTokens: 5 })));
        order.push(index);
      }),
    );
    expect(order).toEqual([0, 1, 2, 3]);
  });

  it("refuses what could never fit, naming the numbers", () => {
    const { scheduler } = bench({ contextLength: 100 });
    const outcome = scheduler.submit(request({ prompt: longPrompt(60), maxTokens: 41 }));
    expect(outcome).toMatchObject({ ok: false, failure: { code: "context_length_exceeded", status: 400, retryable: false } });
    expect(outcome.ok ? "" : outcome.failure.message).toMatch(/100 tokens.*60 \+ 41 = 101/);
  });

  it("refuses with Retry-After when too many wait", async () => {
    const { scheduler } = bench({ memoryBytes: 1000, limits: { waiting: 2 } });
    const held = [0, 1].map(() => scheduler.submit(request({ prompt: longPrompt(90), maxTokens: 2 })));
    const refused = scheduler.submit(request());
    expect(refused).toMatchObject({ ok: false, failure: { code: "overloaded", status: 503, retryable: true, retryAfterSeconds: 5 } });
    await Promise.all(held.map(collect));
  });

  it("ends a wait that lasts too long with an overloaded error", async () => {
    const { scheduler, engine, settled } = bench({ memoryBytes: 1000 });
    // Another object's sequence, which this scheduler knows nothing of, holds the memory.
    const foreign = engine.open(JSON.stringify({ stopTokens: [], promptLogprobs: null }));
    engine.feed(foreign, Uint32Array.from(longPrompt(99)));
    engine.step(Uint32Array.of(foreign, 99));
    const events = await collect(scheduler.submit(request()));
    expect(events).toMatchObject([{ type: "error", failure: { code: "overloaded", status: 503, retryAfterSeconds: 5 } }]);
    await settled();
    expect(scheduler.waiting).toBe(0);
  });

  it("goes on when another object frees its memory", async () => {
    const { scheduler, engine } = bench({ memoryBytes: 1000 });
    const foreign = engine.open(JSON.stringify({ stopTokens: [], promptLogprobs: null }));
    engine.feed(foreign, Uint32Array.from(longPrompt(99)));
    engine.step(Uint32Array.of(foreign, 99));
    const result = collect(scheduler.submit(request({ maxTokens: 3 })));
    await pause(5);
    expect(scheduler.waiting).toBe(1);
    engine.close(foreign);
    expect(tokensOf(await result)).toEqual(expectedTokens([1, 2, 3], 3));
  });
});

describe("readers", () => {
  it("stops the work within one token when the reader cancels", async () => {
    const { scheduler, engine, settled } = bench();
    const outcome = scheduler.submit(request({ maxTokens: 1000 }));
    if (!outcome.ok) throw new Error("refused");
    const reader = outcome.value.getReader();
    await reader.read();
    const before = scheduler.generatedTokens;
    await reader.cancel();
    await settled();
    expect(scheduler.generatedTokens - before).toBeLessThanOrEqual(1);
    expect(engine.openSequences).toBe(0);
  });

  it("computes nothing for a reader that does not read, and goes on when it does", async () => {
    const { scheduler, settled } = bench({ limits: { stallMilliseconds: 1e9 } });
    const outcome = scheduler.submit(request({ maxTokens: 2000 }));
    for (let iteration = 0; iteration < 500; iteration += 1) await new Promise((resolve) => setImmediate(resolve));
    const stalledAt = scheduler.generatedTokens;
    expect(stalledAt).toBeGreaterThan(0);
    expect(stalledAt).toBeLessThan(500);
    for (let iteration = 0; iteration < 50; iteration += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(scheduler.generatedTokens).toBe(stalledAt);
    expect(tokensOf(await collect(outcome))).toEqual(expectedTokens([1, 2, 3], 2000));
    await settled();
  });

  it("takes the memory of a reader that does not read when another one waits", async () => {
    const { scheduler, settled } = bench({ memoryBytes: 2600, limits: { stallMilliseconds: 1e9, waitingMilliseconds: 1e9 } });
    const stalled = scheduler.submit(request({ prompt: longPrompt(100), maxTokens: 150 }));
    while (scheduler.generatedTokens < 100) await new Promise((resolve) => setImmediate(resolve));
    const other = longPrompt(120, 3);
    expect(tokensOf(await collect(scheduler.submit(request({ prompt: other, maxTokens: 50 }))))).toEqual(expectedTokens(other, 50));
    expect(tokensOf(await collect(stalled))).toEqual(expectedTokens(longPrompt(100), 150));
    await settled();
  });

  it("ends a generation whose reader never comes back", async () => {
    const { scheduler, engine, settled } = bench();
    const outcome = scheduler.submit(request({ maxTokens: 5000 }));
    await settled();
    expect(engine.openSequences).toBe(0);
    const events = await collect(outcome);
    expect(events.at(-1)).toMatchObject({ type: "error", failure: { code: "cancelled" } });
  });
});

describe("failures", () => {
  it("ends every stream with an error event when the engine breaks, and refuses from then on", async () => {
    const { scheduler, engine, defects, settled } = bench();
    const streams = [request(), request({ prompt: longPrompt(200) })].map((each) => scheduler.submit(each));
    engine.onStep = () => {
      throw new WebAssembly.RuntimeError("unreachable");
    };
    for (const events of await Promise.all(streams.map(collect))) {
      expect(events).toMatchObject([{ type: "error", failure: { code: "engine_unavailable", status: 503, retryable: true } }]);
    }
    await settled();
    expect(defects).toHaveLength(1);
    expect(scheduler.submit(request())).toMatchObject({ ok: false, failure: { code: "engine_unavailable" } });
  });

  it("ends a sequence that the engine never has room for", async () => {
    const { scheduler, engine, settled } = bench();
    engine.onStep = () => {
      throw engineError("out_of_memory", "fragmented");
    };
    const events = await collect(scheduler.submit(request()));
    expect(events).toMatchObject([{ type: "error", failure: { code: "overloaded", status: 503 } }]);
    await settled();
    expect(engine.openSequences).toBe(0);
  });
});
