/** States that go in and out beside everything else: whose memory they take, who gives way, and what a slow end costs. */
import { describe, expect, it } from "vitest";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import type { GenerateEvent } from "../../../workers/contracts/engine.ts";
import { decodeEvents } from "../../../workers/contracts/event-stream.ts";
import { fakeState } from "./fake-engine.ts";
import { request, tokensOf, type RequestChanges } from "./requests.ts";
import { bench, expectedTokens, longPrompt } from "./scheduler-bench.ts";

const iterations = async (count: number): Promise<void> => {
  for (let iteration = 0; iteration < count; iteration += 1) await new Promise((resolve) => setImmediate(resolve));
};

function streamOf(outcome: Outcome<ReadableStream<Uint8Array>>): ReadableStream<Uint8Array> {
  if (!outcome.ok) throw new Error(`refused: ${JSON.stringify(outcome.failure)}`);
  return outcome.value;
}

async function collect(outcome: Outcome<ReadableStream<Uint8Array>>, afterFinish = false): Promise<GenerateEvent[]> {
  const events: GenerateEvent[] = [];
  for await (const event of decodeEvents(streamOf(outcome), undefined, { afterFinish })) events.push(event);
  return events;
}

/** With the state after the answer's end. */
const collectAll = (outcome: Outcome<ReadableStream<Uint8Array>>) => collect(outcome, true);

interface Source {
  readonly stream: ReadableStream<Uint8Array>;
  readonly taken: () => number;
  readonly cancelled: () => boolean;
}

/** Chunks of a file as somebody asks for them. */
function source(file: Uint8Array, chunkBytes = 2048): Source {
  let [at, cancelled] = [0, false];
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at < file.length) controller.enqueue(file.slice(at, (at += chunkBytes)));
        else controller.close();
      },
      cancel: () => {
        cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, taken: () => Math.min(at, file.length), cancelled: () => cancelled };
}

const handlesOf = (plan: readonly number[]) => plan.filter((_, index) => index % 2 === 0);
const resumeOf = (text: readonly number[], bytes = source(fakeState(text)).stream) => ({
  resume: { tokens: text.length, bytes, seen: new Uint32Array() },
});
const saveEnd: RequestChanges = { save: { at: [], end: true, fromPage: 0 } };
const fileOf = (events: readonly GenerateEvent[], tokens: number): number[] =>
  events.flatMap((event) => (event.type === "state" && event.tokens === tokens ? [...event.bytes] : []));

describe("a state that comes in", () => {
  it("is taken in by chunks while others go on, and the answer is the one after the whole text", async () => {
    const { scheduler, engine, settled } = bench();
    const text = longPrompt(9000, 3);
    const other = scheduler.submit(request({ prompt: [5, 6], maxTokens: 400 }));
    const events = await Promise.all([
      collect(scheduler.submit(request({ prompt: [1, 2], maxTokens: 5, ...resumeOf(text) }))),
      collect(other),
    ]);
    expect(events[0][0]).toEqual({ type: "restored", tokens: 9000 });
    expect(tokensOf(events[0])).toEqual(expectedTokens([...text, 1, 2], 5));
    expect(events[0].at(-1)).toMatchObject({ usage: { promptTokens: 9002, completionTokens: 5, cachedTokens: 9000 } });
    expect(tokensOf(events[1])).toEqual(expectedTokens([5, 6], 400));
    // The other one was computed while chunks came in.
    expect(engine.plans.findIndex((plan) => handlesOf(plan).length === 2)).toBeGreaterThan(2);
    await settled();
    expect(engine.openSequences).toBe(0);
  });

  it("is not read beyond its first bytes while there is no room for it", async () => {
    const { scheduler } = bench({ memoryBytes: 9000 });
    const held = scheduler.submit(request({ prompt: longPrompt(400), maxTokens: 300 }));
    const state = source(fakeState(longPrompt(600, 1)));
    const waiting = collect(scheduler.submit(request({ prompt: [1], maxTokens: 2, ...resumeOf(longPrompt(600, 1), state.stream) })));
    await iterations(40);
    expect(state.taken()).toBeLessThanOrEqual(2 * 2048);
    expect(scheduler.waiting).toBe(1);
    expect(tokensOf(await collect(held))).toHaveLength(300);
    expect(tokensOf(await waiting)).toEqual(expectedTokens([...longPrompt(600, 1), 1], 2));
  });

  it("does not hold up those that come after it and could start", async () => {
    const { scheduler } = bench();
    const never = new ReadableStream<Uint8Array>();
    const stuck = scheduler.submit(request({ maxTokens: 1, ...resumeOf([1, 2], never) }));
    expect(tokensOf(await collect(scheduler.submit(request({ maxTokens: 3 }))))).toEqual(expectedTokens([1, 2, 3], 3));
    await streamOf(stuck).cancel();
  });

  it.each([
    ["its header", 0],
    ["its rows", 30],
  ])("is given up where no byte comes for ten seconds within %s", async (_name, rows) => {
    const { scheduler, engine, settled } = bench();
    const text = longPrompt(200);
    let cancelled = false;
    const silent = new ReadableStream<Uint8Array>({
      start: (controller) => {
        controller.enqueue(fakeState(text).slice(0, 10 + 64 * rows));
      },
      cancel: () => {
        cancelled = true;
      },
    });
    const events = await collect(scheduler.submit(request({ maxTokens: 1, ...resumeOf(text, silent) })));
    expect(events).toMatchObject([{ type: "error", failure: { code: "state_rejected", retryable: true } }]);
    expect(events[0]?.type === "error" ? events[0].failure.message : "").toContain("no byte of the state came for 10 s");
    await settled();
    expect([engine.openSequences, cancelled]).toEqual([0, true]);
  });

  it("of other tokens than was said is refused before it takes memory", async () => {
    const { scheduler, engine, settled } = bench();
    const state = source(fakeState(longPrompt(500)));
    const resume = { tokens: 499, bytes: state.stream, seen: new Uint32Array() };
    const [error] = await collect(scheduler.submit(request({ maxTokens: 1, resume })));
    const message = "resume.tokens must be what the state holds, 500; it is 499";
    expect(error).toMatchObject({ type: "error", failure: { code: "state_rejected", message } });
    await settled();
    expect([engine.openSequences, state.cancelled()]).toEqual([0, true]);
  });

  it("waits again where the engine has less room than it seemed", async () => {
    const { scheduler, engine } = bench();
    const push = engine.pushState.bind(engine);
    let refusals = 3;
    engine.pushState = (sequence, chunk) => {
      if (refusals-- > 0) {
        throw Object.assign(new Error("no room"), { name: "EngineError", code: "out_of_memory" });
      }
      push(sequence, chunk);
    };
    const text = longPrompt(300);
    expect(tokensOf(await collect(scheduler.submit(request({ prompt: [4], maxTokens: 2, ...resumeOf(text) }))))).toEqual(
      expectedTokens([...text, 4], 2),
    );
    expect(engine.openSequences).toBe(0);
  });
});

describe("memory that is short", () => {
  it("is taken from those that can read again before a resumed one loses its state", async () => {
    const { scheduler, engine, settled } = bench({ memoryBytes: 2500, limits: { growthTokens: 0 } });
    const text = longPrompt(90);
    const resumed = collect(scheduler.submit(request({ prompt: [1], maxTokens: 100, ...resumeOf(text) })));
    const other = collect(scheduler.submit(request({ prompt: longPrompt(40, 2), maxTokens: 150 })));
    expect(tokensOf(await resumed)).toEqual(expectedTokens([...text, 1], 100));
    expect(tokensOf(await other)).toEqual(expectedTokens(longPrompt(40, 2), 150));
    expect(engine.evictions).toBeGreaterThan(0);
    await settled();
  });

  it("ends the younger of two resumed ones by name, once nothing else gives way, and the other one goes on", async () => {
    const { scheduler, settled } = bench({ memoryBytes: 2500, limits: { growthTokens: 0 } });
    const texts = [longPrompt(90), longPrompt(90, 5)];
    const results = await Promise.all(
      texts.map((text) => collect(scheduler.submit(request({ prompt: [1], maxTokens: 100, ...resumeOf(text) })))),
    );
    expect(tokensOf(results[0] ?? [])).toEqual(expectedTokens([...longPrompt(90), 1], 100));
    expect(results[1]?.at(-1)).toMatchObject({ type: "error", failure: { code: "state_lost", status: 503, retryable: true } });
    await settled();
  });

  it("a state that the engine itself gave up is told", async () => {
    const { scheduler, engine, settled } = bench();
    const text = longPrompt(50);
    engine.onStep = () => {
      engine.onStep = undefined;
      engine.sequenceBytes = () => 0;
      throw Object.assign(new Error("the allocator failed"), { name: "EngineError", code: "out_of_memory" });
    };
    const events = await collect(scheduler.submit(request({ prompt: [1], maxTokens: 5, ...resumeOf(text) })));
    expect(events.at(-1)).toMatchObject({ type: "error", failure: { code: "state_lost" } });
    await settled();
    expect(engine.openSequences).toBe(0);
  });
});

describe("a state at the end", () => {
  it("follows the answer in chunks, last token included, while others never miss a step", async () => {
    const { scheduler, engine, settled } = bench();
    const text = longPrompt(9000, 3);
    const other = collect(scheduler.submit(request({ prompt: [5, 6], maxTokens: 400 })));
    const events = await collectAll(scheduler.submit(request({ prompt: text, maxTokens: 2, ...saveEnd })));
    const answer = expectedTokens(text, 2);
    expect(tokensOf(events)).toEqual(answer);
    const types = events.map(({ type }) => type);
    expect(types.slice(2)).toEqual(["finish", "state", "state", "state", "saved"]);
    expect(fileOf(events, 9002)).toEqual([...fakeState([...text, ...answer])]);
    expect(tokensOf(await other)).toEqual(expectedTokens([5, 6], 400));
    expect(engine.plans.slice(0, 400).filter((plan) => !handlesOf(plan).includes(1))).toEqual([]);
    await settled();
    expect(engine.openSequences).toBe(0);
  });

  it("does not count as running, and its memory is free once it is out", async () => {
    const { scheduler, engine } = bench({ limits: { stallMilliseconds: 1e9 } });
    const stream = streamOf(scheduler.submit(request({ prompt: longPrompt(9000), maxTokens: 1, ...saveEnd })));
    await iterations(1200);
    expect([scheduler.running, engine.openSequences]).toEqual([0, 1]);
    await new Response(stream).arrayBuffer();
    expect(engine.openSequences).toBe(0);
  });

  it("of a stop leaves the stop token out", async () => {
    const { scheduler } = bench();
    const tokens = expectedTokens([5, 6], 3);
    const events = await collectAll(
      scheduler.submit(request({ prompt: [5, 6], maxTokens: 50, stopTokens: [tokens[2] ?? 0], save: { at: [], end: true, fromPage: 0 } })),
    );
    expect(events.at(-1)).toEqual({ type: "saved", tokens: 4 });
    expect(fileOf(events, 4)).toEqual([...fakeState([5, 6, ...tokens.slice(0, 2)])]);
  });

  it("is given up for one that waits when its reader does not read, or when it has had its time", async () => {
    const { scheduler, settled } = bench({ memoryBytes: 100_000, limits: { stallMilliseconds: 1e9 } });
    const saving = scheduler.submit(request({ prompt: longPrompt(9000), maxTokens: 1, ...saveEnd }));
    await iterations(300);
    const other = longPrompt(5000, 1);
    expect(tokensOf(await collect(scheduler.submit(request({ prompt: other, maxTokens: 2 }))))).toEqual(expectedTokens(other, 2));
    expect((await collectAll(saving)).at(-1)).toEqual({ type: "unsaved", tokens: 9001, reason: "its memory was needed for others" });
    await settled();
  });

  it("is lost with its reader, and nothing else is", async () => {
    const { scheduler, engine, settled } = bench();
    const outcome = scheduler.submit(request({ prompt: longPrompt(9000), maxTokens: 1, ...saveEnd }));
    await settled();
    expect(engine.openSequences).toBe(0);
    const events = await collectAll(outcome);
    expect(events.map(({ type }) => type)).toEqual(["token", "finish", "state", "unsaved"]);
    expect(events.at(-1)).toMatchObject({ reason: "the reader read nothing for 120 s" });
  });

  it("is nothing but unsaved where the engine breaks", async () => {
    const { scheduler, engine, defects, settled } = bench();
    engine.readSaved = () => {
      throw new WebAssembly.RuntimeError("unreachable");
    };
    const events = await collectAll(scheduler.submit(request({ maxTokens: 2, ...saveEnd })));
    expect(events.map(({ type }) => type)).toEqual(["token", "token", "finish", "unsaved"]);
    await settled();
    expect(defects).toHaveLength(1);
  });
});

describe("a state on the way", () => {
  const prompt = longPrompt(300);
  const save = { at: [33, 290, 300], end: false, fromPage: 0 } as const;

  it("goes out as a copy while reading goes on, where there is memory for both", async () => {
    const { scheduler, engine, settled } = bench();
    const events = await collect(scheduler.submit(request({ prompt, maxTokens: 3, save })));
    for (const tokens of save.at) expect(fileOf(events, tokens)).toEqual([...fakeState(prompt.slice(0, tokens))]);
    expect(tokensOf(events)).toEqual(expectedTokens(prompt, 3));
    // At the end of the prompt there is nothing to read on.
    expect(engine.forks).toBe(2);
    const first = events.findIndex(({ type }) => type === "token");
    expect(events.slice(0, first).filter(({ type }) => type === "saved")).toHaveLength(3);
    await settled();
    expect(engine.openSequences).toBe(0);
  });

  it("goes out before anything more is read, where there is not", async () => {
    const { scheduler, engine, settled } = bench({ memoryBytes: 3300 });
    const events = await collect(scheduler.submit(request({ prompt, maxTokens: 3, save })));
    for (const tokens of save.at) expect(fileOf(events, tokens)).toEqual([...fakeState(prompt.slice(0, tokens))]);
    expect(tokensOf(events)).toEqual(expectedTokens(prompt, 3));
    expect(engine.forks).toBe(0);
    await settled();
  });

  it("gives its copy up when what runs needs the memory, and the answer is the same", async () => {
    const { scheduler, engine, settled } = bench({ memoryBytes: 10_000, limits: { growthTokens: 0, stallMilliseconds: 1e9 } });
    const far = longPrompt(600);
    const outcome = scheduler.submit(request({ prompt: far, maxTokens: 350, save: { at: [192], end: false, fromPage: 0 } }));
    await iterations(200);
    expect(engine.forks).toBe(1);
    const other = longPrompt(150, 4);
    const beside = collect(scheduler.submit(request({ prompt: other, maxTokens: 120 })));
    const events = await collect(outcome);
    expect(tokensOf(events)).toEqual(expectedTokens(far, 350));
    expect(tokensOf(await beside)).toEqual(expectedTokens(other, 120));
    await settled();
    expect(engine.openSequences).toBe(0);
  });
});

describe("a request", () => {
  it("may read as many tokens as any other beyond its state, where the state is constant; else they count", () => {
    const resumed = (limits: Parameters<typeof bench>[0]) =>
      bench(limits).scheduler.submit(request({ prompt: longPrompt(60), maxTokens: 40, ...resumeOf(longPrompt(50)) }));
    expect(resumed({ contextLength: 100, constantState: true }).ok).toBe(true);
    expect(resumed({ contextLength: 100 })).toMatchObject({ ok: false, failure: { code: "context_length_exceeded" } });
    expect(resumed({ contextLength: 150 }).ok).toBe(true);
  });
});
