/** What tenants and documents cost one another, counted in passes: nothing here depends on how fast anything is. */
import { describe, expect, it } from "vitest";
import { collect as collectAll, valueOf } from "../../contract/generation.ts";
import { collect, request, tokensOf, type RequestChanges } from "./requests.ts";
import { stateChunkBytes } from "../../../workers/contracts/engine.ts";
import type { OpenedState } from "../../../workers/contracts/request/open-state.ts";
import { mostCredit } from "../../../workers/engine/shared-passes.ts";
import { fakeState } from "./fake-engine.ts";
import { bench, expectedTokens, longPrompt, type Bench } from "./scheduler-bench.ts";

const iterations = async (count: number): Promise<void> => {
  for (let iteration = 0; iteration < count; iteration += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** Runs a request to its end; answers with its tokens and the passes that were computed meanwhile. */
async function served(
  { scheduler, engine }: Bench,
  changes: RequestChanges & { readonly resume?: OpenedState },
): Promise<{ readonly tokens: number[]; readonly passes: number }> {
  const before = engine.plans.length;
  const tokens = tokensOf(await collect(scheduler.submit(request(changes))));
  return { tokens, passes: engine.plans.length - before };
}

/** Everything that comes, what follows the end of the answer included. */
const readAll = (scheduler: Bench["scheduler"], changes: RequestChanges) => collectAll(valueOf(scheduler.submit(request(changes))));

/** A file as it comes from another Worker. */
function inChunks(file: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at < file.length) controller.enqueue(file.slice(at, (at += stateChunkBytes)));
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

/** Sequences in each pass. */
const sizes = (plans: readonly number[][]): number[] => plans.map(({ length }) => length / 2);

describe("a small request of one share beside thirty streams of another", () => {
  const prompt = longPrompt(100, 1);
  const small: RequestChanges = { prompt, maxTokens: 16, share: "small" };

  it("takes as many passes as alone and one more, and those passes are small", async () => {
    const alone = await served(bench(), small);
    const busy = bench();
    const many = Array.from({ length: 30 }, (_, at) => longPrompt(40, at));
    const answers = many.map((own) => collect(busy.scheduler.submit(request({ prompt: own, maxTokens: 200, share: "many" }))));
    // By then all their prompts are read.
    while (busy.scheduler.generatedTokens < 300) await iterations(1);
    const beside = await served(busy, small);
    expect(beside.tokens).toEqual(expectedTokens(prompt, 16));
    expect(beside.passes - alone.passes).toBeLessThanOrEqual(1);
    // Beside it one of the others answers in a pass, where alone sixteen do; one such pass may have been on its way.
    expect(sizes(busy.engine.plans.slice(-beside.passes)).filter((size) => size > 2).length).toBeLessThanOrEqual(1);
    const all = await Promise.all(answers);
    for (const [at, events] of all.entries()) expect(tokensOf(events)).toEqual(expectedTokens(many[at] ?? [], 200));
    await busy.settled();
    expect(busy.engine.evictions).toBe(0);
  });

  it("has its tokens beside thirty prompts of the other, of which no more is read than it has, and what that one brought along", async () => {
    const { scheduler, engine } = bench();
    const own = collect(scheduler.submit(request({ prompt, maxTokens: 200, share: "small" })));
    while (scheduler.generatedTokens < 10) await iterations(1);
    const from = engine.plans.length;
    const answers = Array.from({ length: 30 }, (_, at) =>
      collect(scheduler.submit(request({ prompt: longPrompt(150, at), maxTokens: 20, share: "many" }))),
    );
    expect(tokensOf(await own)).toEqual(expectedTokens(prompt, 200));
    // It is the first sequence, and misses no pass.
    const passes = engine.plans.slice(from, from + 189);
    for (const plan of passes) expect(plan.filter((_, at) => at % 2 === 0)).toContain(1);
    const others = passes.flat().reduce((sum, count, at) => sum + (at % 2 === 1 ? count : 0), 0) - passes.length;
    expect(others).toBeLessThanOrEqual(2 * passes.length + mostCredit + 64);
    expect(others).toBeGreaterThan(passes.length);
    const all = await Promise.all(answers);
    for (const [at, events] of all.entries()) expect(tokensOf(events)).toEqual(expectedTokens(longPrompt(150, at), 20));
  });

  it("that starts from a state of many chunks does not wait for a pass at each of them", async () => {
    const busy = bench({ contextLength: 20_000 });
    const many = Array.from({ length: 16 }, (_, at) =>
      collect(busy.scheduler.submit(request({ prompt: longPrompt(40, at), maxTokens: 300, share: "many" }))),
    );
    while (busy.scheduler.generatedTokens < 200) await iterations(1);
    // 64 bytes a token: four chunks.
    const text = longPrompt(4 * 4096 - 100);
    const resume = { tokens: text.length, seen: new Uint32Array(), bytes: inChunks(fakeState(text)) };
    const beside = await served(busy, { prompt: [4], maxTokens: 16, share: "small", resume });
    expect(beside.tokens).toEqual(expectedTokens([...text, 4], 16));
    expect(beside.passes).toBeLessThanOrEqual(17);
    await Promise.all(many);
  });

  it("gets memory where the other share holds all of it, and costs that one no more than a sequence read again", async () => {
    const busy = bench({ memoryBytes: 10_000 });
    const many = Array.from({ length: 30 }, (_, at) => longPrompt(100, at));
    const answers = many.map((own) => collect(busy.scheduler.submit(request({ prompt: own, maxTokens: 60, share: "many" }))));
    while (busy.scheduler.generatedTokens < 50) await iterations(1);
    const before = busy.engine.evictions;
    const beside = await served(busy, { ...small, maxTokens: 8 });
    expect(beside.tokens).toEqual(expectedTokens(prompt, 8));
    expect(beside.passes).toBeLessThanOrEqual(16);
    expect(busy.engine.evictions - before).toBeLessThanOrEqual(2);
    const all = await Promise.all(answers);
    for (const [at, events] of all.entries()) expect(tokensOf(events)).toEqual(expectedTokens(many[at] ?? [], 60));
  });

  it("gets memory where all of the other's began with states, which are begun again from there", async () => {
    const busy = bench({ memoryBytes: 10_000 });
    const text = longPrompt(100);
    const texts = new Map<number, number[]>();
    /** As whoever handed the state over does it: again from there, with the tokens so far. */
    const answer = async (at: number): Promise<void> => {
      const sampled: number[] = [];
      texts.set(at, sampled);
      for (let attempts = 0; sampled.length < 60; attempts += 1) {
        expect(attempts).toBeLessThan(20);
        const before = sampled.length;
        const bytes = inChunks(fakeState(text));
        const resume = { tokens: text.length, seen: new Uint32Array(), bytes };
        const prompt = [at, ...sampled];
        const continued = sampled.length;
        const events = await collect(
          busy.scheduler.submit(request({ prompt, maxTokens: 60 - continued, continued, share: "many", resume })),
        );
        sampled.push(...tokensOf(events));
        const end = events.at(-1);
        if (end?.type === "finish") continue;
        expect(end).toMatchObject({ type: "error", failure: { code: "state_lost", retryable: true } });
        // An attempt that is ended for another share has brought something.
        if (stage === "beside") expect(sampled.length).toBeGreaterThan(before);
      }
    };
    let stage = "alone";
    const all = Array.from({ length: 8 }, (_, at) => answer(at + 1));
    while (busy.scheduler.generatedTokens < 60) await iterations(1);
    stage = "beside";
    const beside = await served(busy, { ...small, maxTokens: 8 });
    stage = "alone";
    expect(beside.tokens).toEqual(expectedTokens(prompt, 8));
    expect(beside.passes).toBeLessThanOrEqual(12);
    await Promise.all(all);
    for (const [at, tokens] of texts) expect(tokens).toEqual(expectedTokens([...text, at], 60));
  });

  it("comes before those of the other share that wait", async () => {
    const { scheduler } = bench({ limits: { running: 4 } });
    const order: string[] = [];
    const run = async (name: string, changes: RequestChanges): Promise<void> => {
      await collect(scheduler.submit(request(changes)));
      order.push(name);
    };
    const many = Array.from({ length: 30 }, (_, at) => run("many", { prompt: longPrompt(20, at), maxTokens: 30, share: "many" }));
    await iterations(5);
    await Promise.all([...many, run("small", { ...small, maxTokens: 8 })]);
    expect(order.indexOf("small")).toBe(0);
  });
});

describe("shares that ask for the same", () => {
  it("get the same, whoever came first and with however many", async () => {
    const { scheduler } = bench();
    const tokens = new Map<string, number>();
    const read = async (share: string, at: number): Promise<void> => {
      const outcome = scheduler.submit(request({ prompt: longPrompt(10, at), maxTokens: 400, share }));
      if (!outcome.ok) throw new Error(outcome.failure.message);
      for await (const chunk of outcome.value) {
        const found = new TextDecoder().decode(chunk).split('"type":"token"').length - 1;
        if (!done) tokens.set(share, (tokens.get(share) ?? 0) + found);
      }
    };
    let done = false;
    const all = [
      ...Array.from({ length: 14 }, (_, at) => read("a", at)),
      ...Array.from({ length: 2 }, (_, at) => read("b", at)),
      ...Array.from({ length: 2 }, (_, at) => read("c", at)),
    ];
    while ((tokens.get("b") ?? 0) < 400) await iterations(1);
    done = true;
    const [a = 0, b = 0, c = 0] = ["a", "b", "c"].map((share) => tokens.get(share));
    expect(c / b).toBeCloseTo(1, 1);
    expect(a / b).toBeGreaterThan(0.9);
    // Before the others' prompts are read, the first answer alone.
    expect(a / b).toBeLessThan(1.3);
    await Promise.all(all);
  });

  it("lose nothing to one another's places in a pass: passes are as full as those of one share", async () => {
    const passes = async (shares: readonly string[]): Promise<number> => {
      const { scheduler, engine } = bench();
      await Promise.all(
        Array.from({ length: 16 }, (_, at) =>
          collect(scheduler.submit(request({ prompt: longPrompt(20, at), maxTokens: 40, share: shares[at % shares.length] ?? null }))),
        ),
      );
      return engine.plans.length;
    };
    const alone = await passes(["a"]);
    // A few at the begin and at the end, where one share has less to do than another.
    expect(await passes(["a", "b"])).toBeLessThanOrEqual(alone + 3);
    expect(await passes(["a", "b", "c", "d"])).toBeLessThanOrEqual(alone + 3);
  });
});

describe("a document beside chats", () => {
  const document = longPrompt(3000);
  const reading: RequestChanges = {
    prompt: document,
    maxTokens: 0,
    share: "reader",
    priority: "background",
    save: { at: [], end: true, fromPage: 0 },
  };

  it("leaves them three quarters of the time, and has the rest", async () => {
    const { scheduler, engine } = bench({ tokenMilliseconds: 1 });
    const chat = (seed: number) =>
      collect(scheduler.submit(request({ prompt: [1, 2, seed], maxTokens: 1500, share: `chat ${String(seed)}` })));
    const chats = [chat(3), chat(4)];
    while (scheduler.generatedTokens < 4) await iterations(1);
    const from = engine.plans.length;
    await readAll(scheduler, { ...reading, prompt: longPrompt(800) });
    const plans = engine.plans.slice(from, -1);
    const ofDocument = plans.filter((plan) => plan.includes(3) && plan.indexOf(3) % 2 === 0);
    const time = (some: readonly number[][]): number => some.flat().reduce((sum, count, at) => sum + (at % 2 === 1 ? count : 0), 0);
    expect(time(ofDocument) / time(plans)).toBeGreaterThan(0.22);
    expect(time(ofDocument) / time(plans)).toBeLessThan(0.28);
    // Nobody's chat misses a pass.
    for (const plan of plans) expect(plan.filter((_, at) => at % 2 === 0)).toEqual(expect.arrayContaining([1, 2]));
    expect(tokensOf((await Promise.all(chats))[0] ?? [])).toEqual(expectedTokens([1, 2, 3], 1500));
  });

  it("is read as fast as anything where nobody chats", async () => {
    const { scheduler, engine } = bench({ tokenMilliseconds: 1 });
    await readAll(scheduler, reading);
    expect(engine.plans).toHaveLength(Math.ceil(3000 / 64));
  });

  it("waits behind a long prompt of somebody who waits for its answer, and not for ever", async () => {
    const { scheduler, engine } = bench({ tokenMilliseconds: 1 });
    const background = readAll(scheduler, { ...reading, prompt: longPrompt(640) });
    await collect(scheduler.submit(request({ prompt: longPrompt(3000, 5), maxTokens: 1, share: "long" })));
    // The long prompt was admitted first: the document is the second sequence.
    const read = (): number =>
      engine.plans.reduce(
        (sum, plan) => sum + plan.reduce((own, one, at) => own + (at % 2 === 0 && one === 2 ? (plan[at + 1] ?? 0) : 0), 0),
        0,
      );
    expect(read()).toBeGreaterThan(300);
    await background;
    expect(read()).toBe(640);
  });

  it("gives its memory to a chat that needs it, is read again, and both end", async () => {
    const { scheduler, engine } = bench({ memoryBytes: 5000, windowTokens: 450, tokenMilliseconds: 1 });
    const background = readAll(scheduler, reading);
    while (engine.plans.length < 20) await iterations(1);
    expect(scheduler.running).toBe(1);
    const prompt = longPrompt(120, 9);
    const chat = await collect(scheduler.submit(request({ prompt, maxTokens: 30, share: "chat" })));
    expect(tokensOf(chat)).toEqual(expectedTokens(prompt, 30));
    const ends = (await background).filter(({ type }) => type !== "state");
    expect(ends).toMatchObject([
      { type: "finish", usage: { promptTokens: 3000 } },
      { type: "saved", tokens: 3000 },
    ]);
  });

  it.each([
    ["that leave it no room", 5000],
    ["that leave it room until they grow", 6800],
    ["that leave it room", 9000],
  ])("is not starved by chats without end %s, and starves nobody", async (_name, memoryBytes) => {
    const options = { memoryBytes, windowTokens: 450, tokenMilliseconds: 10, limits: { waitingMilliseconds: 1e9 } };
    const { scheduler, engine, settled } = bench(options);
    let read = false;
    const background = readAll(scheduler, { ...reading, prompt: longPrompt(1000) }).then((events) => {
      read = true;
      return events;
    });
    let chats = 0;
    const talk = async (share: string): Promise<void> => {
      while (!read && chats < 500) {
        chats += 1;
        const prompt = longPrompt(100, chats);
        expect(tokensOf(await collect(scheduler.submit(request({ prompt, maxTokens: 40, share }))))).toEqual(expectedTokens(prompt, 40));
      }
    };
    await Promise.all([talk("a"), talk("b")]);
    expect(read).toBe(true);
    const ends = (await background).filter(({ type }) => type !== "state");
    expect(ends).toMatchObject([
      { type: "finish", usage: { promptTokens: 1000 } },
      { type: "saved", tokens: 1000 },
    ]);
    expect(chats).toBeLessThan(100);
    await settled();
    expect(engine.openSequences).toBe(0);
  });
});
