/** A model in stages answers as the whole does: the same tokens, scores and state files, also when a stage dies in mid-stream. */
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it, test, vi } from "vitest";
import { inRepository } from "../../../infra/local/paths.ts";
import { initSync, ModelLoader, type Engine } from "../../../wasm/pkg/relaxed/spikingbrain.js";
import type { GenerateEvent, SamplingParameters, StateSource } from "../../../workers/contracts/engine.ts";
import type { Cut } from "../../../workers/contracts/stages.ts";
import { decodeEvents } from "../../../workers/contracts/event-stream.ts";
import { StatesLost } from "../../../workers/engine/engine-surface.ts";
import { JoinedState } from "../../../workers/engine/stages/joined-state.ts";
import { settledFreeBytes } from "../../contract/generation.ts";
import { ask, collect, tokensOf, type RequestChanges } from "./requests.ts";
import { evenCuts } from "./even-cuts.ts";
import { digests, stagesOf, TestedBackend, type LoadPart } from "./staged-backend.ts";

initSync({ module: readFileSync(inRepository("wasm/pkg/relaxed/spikingbrain_bg.wasm")) });

/** Freed after each test: they share one memory, where what is collected later would look as if a test had given it back. */
const parts: Engine[] = [];
afterEach(() => {
  for (const part of parts.splice(0)) part.free();
});

const load = (options: Parameters<LoadPart>[0] = {}) => {
  const loader = new ModelLoader(JSON.stringify({ kvType: "int8", memoryLimitBytes: 121 << 20, ...options }));
  loader.push(readFileSync(inRepository("test/golden/seven.gguf")));
  return loader.finish();
};

const loadPart: LoadPart = (options) => {
  const part = load(options);
  parts.push(part);
  return part;
};

const vocabulary = 29;
const sublayers = 8;
const cuts = evenCuts(sublayers, vocabulary, 3);
const prompt = (length: number, first: number): number[] => Array.from({ length }, (_, at) => (at * 7 + first) % vocabulary);
const drawn = (seed: string): Partial<SamplingParameters> => ({ temperature: 0.9, topP: 0.95, seed, repetitionPenalty: 1.1 });

const whole = new TestedBackend(load(digests));

/** Events without when they came: reports of reading depend on how steps are cut. */
const told = (events: readonly GenerateEvent[]): readonly GenerateEvent[] => events.filter(({ type }) => type !== "read");

test("streams of every kind at once bring the events of one engine, and several passes are in the stages together", async () => {
  const { engine, inStages } = await stagesOf(loadPart, cuts);
  const staged = new TestedBackend(engine);
  const requests: RequestChanges[] = [1, 2, 3, 4, 5, 6].map((seed) => ({
    prompt: prompt(10 * seed, seed),
    maxTokens: 20,
    sampling: drawn(String(seed)),
    promptLogprobs: seed === 2 ? 1 : null,
    topLogprobs: seed === 3 ? 2 : null,
    reportState: seed === 4,
    ...(seed === 5 ? { save: { at: [17, 32], end: true, fromPage: 0 } } : {}),
  }));
  const events = async (backend: TestedBackend): Promise<GenerateEvent[][]> =>
    await Promise.all(requests.map(async (changes) => await collect(await ask(backend, changes))));
  const [expected, found] = [await events(whole), await events(staged)];
  for (const [at, one] of found.entries()) expect(told(one), `request ${String(at)}`).toEqual(told(expected[at] ?? []));
  expect(inStages.most).toBeGreaterThan(1);
  await expect.poll(() => inStages.now).toBe(0);
});

const vocabularySplit: readonly Cut[] = [
  { embedding: [0, 0], sublayers: [0, 0], head: [0, 0] },
  { embedding: [0, 0], sublayers: [0, 5], head: [0, 0] },
  { embedding: [0, 0], sublayers: [5, 8], head: [0, 0] },
  { embedding: [0, 12], sublayers: [0, 0], head: [0, 12] },
  { embedding: [12, vocabulary], sublayers: [0, 0], head: [12, vocabulary] },
];

test("a vocabulary may lie in stages of its own, also while a whole prompt is scored", async () => {
  const { engine } = await stagesOf(loadPart, vocabularySplit);
  const changes = { prompt: prompt(70, 3), maxTokens: 6, promptLogprobs: 2, sampling: drawn("9") };
  expect(told(await collect(await ask(new TestedBackend(engine), changes)))).toEqual(told(await collect(await ask(whole, changes))));
});

describe("a stage dies in mid-stream", () => {
  it.each([1, 2, 3])("stage %i: every answer goes on with the tokens it would have had", async (stage) => {
    const stages = await stagesOf(loadPart, cuts);
    const staged = new TestedBackend(stages.engine);
    const requests = [1, 2, 3].map((seed) => ({ prompt: prompt(40, seed), maxTokens: 24, sampling: drawn(String(seed)) }));
    const found = await Promise.all(
      requests.map(async (changes, at) => {
        const outcome = await ask(staged, changes);
        if (!outcome.ok) throw new Error(outcome.failure.message);
        const events: GenerateEvent[] = [];
        for await (const event of decodeEvents(outcome.value)) {
          events.push(event);
          if (at === 0 && events.length === 7) stages.kill(stage);
        }
        return events;
      }),
    );
    for (const [at, changes] of requests.entries()) expect(found[at]).toEqual(await collect(await ask(whole, changes)));
  });

  it("an answer that began with a state ends with a failure after which it is begun again", async () => {
    const [saved] = await collect(await ask(whole, { prompt: prompt(40, 1), maxTokens: 0, save: { at: [40], end: false, fromPage: 0 } }));
    const file = saved?.type === "state" ? saved.bytes : new Uint8Array();
    const state = { open: () => Promise.resolve({ ok: true, value: new Response(file.slice()).body } as const) };
    const resume = { tokens: 40, state: state as unknown as StateSource, seen: new Uint32Array() };
    const changes = { prompt: [1], maxTokens: 24, resume };
    const stages = await stagesOf(loadPart, cuts);
    const outcome = await ask(new TestedBackend(stages.engine), changes);
    if (!outcome.ok) throw new Error(outcome.failure.message);
    const events: GenerateEvent[] = [];
    for await (const event of decodeEvents(outcome.value)) {
      events.push(event);
      if (events.length === 7) stages.kill(2);
    }
    expect(events.at(-1)).toMatchObject({ type: "error", failure: { code: "state_lost", retryable: true } });
    expect(events.filter(({ type }) => type === "error" || type === "finish")).toHaveLength(1);
    const due = tokensOf(await collect(await ask(whole, changes)));
    expect(tokensOf(events)).toEqual(due.slice(0, tokensOf(events).length));
  });
});

test("a stage dies before an answer's state is out: the answer is whole, and the state is said to be unsaved", async () => {
  const stages = await stagesOf(loadPart, cuts);
  const changes = { prompt: prompt(40, 1), maxTokens: 6, save: { at: [], end: true, fromPage: 0 } };
  const outcome = await ask(new TestedBackend(stages.engine), changes);
  if (!outcome.ok) throw new Error(outcome.failure.message);
  const events: GenerateEvent[] = [];
  for await (const event of decodeEvents(outcome.value, undefined, { afterFinish: true })) {
    events.push(event);
    if (event.type === "finish") stages.kill(2);
  }
  const due = await collect(await ask(whole, { ...changes, save: { at: [], end: false, fromPage: 0 } }));
  expect(events.slice(0, -1)).toEqual(due);
  expect(events.at(-1)).toMatchObject({ type: "unsaved", tokens: 46 });
});

test("a stage that has its part of another model is refused, however alike the two are cut", async () => {
  const other = "4".repeat(64);
  await expect(stagesOf(loadPart, cuts, { model: other })).rejects.toThrow(`stage 1 holds {"model":"${other}","spikes":"off"`);
});

test("where one stage has none of a state, the others' parts are let go", async () => {
  const cancelled = vi.fn();
  const part = new ReadableStream<Uint8Array>({ cancel: cancelled });
  const joined = new JoinedState({
    headerBytes: 1,
    files: [Promise.resolve(part), Promise.reject(new StatesLost("stage 2 cannot be reached"))],
    sharesOf: () => [],
    onProgress: () => undefined,
  });
  await expect.poll(() => cancelled.mock.calls.length).toBe(1);
  expect(() => joined.take(1)).toThrow("stage 2 cannot be reached");
});

test.each([1, 3])(
  "stage %i ends while nothing runs: an answer that begins with a state then, or without one, is as whole as any",
  async (stage) => {
    const [saved] = await collect(await ask(whole, { prompt: prompt(40, 1), maxTokens: 0, save: { at: [40], end: false, fromPage: 0 } }));
    const file = saved?.type === "state" ? saved.bytes : new Uint8Array();
    const state = { open: () => Promise.resolve({ ok: true, value: new Response(file.slice()).body } as const) };
    const resume = { tokens: 40, state: state as unknown as StateSource, seen: new Uint32Array() };
    const stages = await stagesOf(loadPart, cuts);
    const staged = new TestedBackend(stages.engine);
    for (const changes of [
      { prompt: [1], maxTokens: 8, resume },
      { prompt: prompt(40, 1), maxTokens: 8 },
    ]) {
      await collect(await ask(staged, { prompt: prompt(5, 1), maxTokens: 2 }));
      stages.kill(stage);
      expect(await collect(await ask(staged, changes))).toEqual(await collect(await ask(whole, changes)));
    }
  },
);

test("a stage's object that begins anew in its isolate frees what the earlier one had", async () => {
  const stages = await stagesOf(loadPart, cuts);
  const { engine } = stages;
  const staged = new TestedBackend(engine);
  const changes = { prompt: prompt(40, 1), maxTokens: 24 };
  const answerOverDeath = async () => {
    const outcome = await ask(staged, changes);
    if (!outcome.ok) throw new Error(outcome.failure.message);
    const events: GenerateEvent[] = [];
    for await (const event of decodeEvents(outcome.value)) {
      events.push(event);
      if (events.length === 7) stages.kill(2, false);
    }
    expect(events).toEqual(await collect(await ask(whole, changes)));
  };
  // The engine keeps the room for two sequences at once that the first death asks for.
  await answerOverDeath();
  const free = await settledFreeBytes(staged);
  await answerOverDeath();
  await expect.poll(() => engine.freeStateBytes()).toBe(free);
});

test("a leader that is idle hears of what another takes of the same isolates, and of what that gives back", async () => {
  const [idle, busy] = [await stagesOf(loadPart, cuts), await stagesOf(loadPart, cuts)];
  const staged = new TestedBackend(busy.engine);
  await collect(await ask(staged, { prompt: prompt(5, 1), maxTokens: 1 }));
  const free = await settledFreeBytes(new TestedBackend(idle.engine));
  const outcome = await ask(staged, { prompt: prompt(200, 1), maxTokens: 500 });
  if (!outcome.ok) throw new Error(outcome.failure.message);
  await expect.poll(() => idle.engine.freeStateBytes()).toBeLessThan(free);
  await outcome.value.cancel();
  await expect.poll(() => idle.engine.freeStateBytes()).toBe(free);
});

test("what the stage with the least room leaves bounds what runs, and everyone ends all the same", async () => {
  const { engine } = await stagesOf(loadPart, cuts);
  // Less by what a longer pass keeps for a moment.
  expect(engine.stateBytes(100)).toBeLessThanOrEqual(loadPart().stateBytes(100));
  const staged = new TestedBackend(engine);
  // Buffers grow with the first.
  const freeAfter = async (): Promise<number> => {
    const streams = Array.from(
      { length: 20 },
      async (_, at) => await collect(await ask(staged, { prompt: prompt(5, at), maxTokens: 4, share: String(at) })),
    );
    expect((await Promise.all(streams)).every((events) => events.at(-1)?.type === "finish")).toBe(true);
    return await settledFreeBytes(staged);
  };
  const free = await freeAfter();
  expect(free).toBeGreaterThan(0);
  expect(await freeAfter()).toBe(free);
});
