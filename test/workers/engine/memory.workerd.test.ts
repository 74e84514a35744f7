import type { ModelDescription } from "../../../workers/contracts/engine.ts";
import { describe, expect, it } from "vitest";
import { filesOf, sourceOf } from "../../contract/state-files.ts";
import { collect as collectAll } from "../../contract/generation.ts";
import { bindings } from "./bindings.ts";
import { ask, collect, tokensOf } from "./requests.ts";

const pageBytes = 65_536;
/** What the runner allows one linear memory: `--wasm-max-mem-pages=1936`. */
const capBytes = 121 * 1024 * 1024;

describe("the built-in model in one isolate", () => {
  it("runs under a cap that the runtime really enforces", () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    expect(() => memory.grow(capBytes / pageBytes)).toThrow(RangeError);
  });

  it("reads a text far longer than its window in a state that stops growing, and gives its memory back", async () => {
    const object = bindings.ENGINE_OBJECT.getByName("memory");
    const models = await object.models();
    if (!models.ok) throw new Error(models.failure.message);
    const [{ state, contextLength }] = models.value as [ModelDescription];
    expect(state).toMatchObject({ constant: true, keysAndValues: "int8" });
    // Far beyond what keys and values of full attention would leave room for.
    expect(contextLength * (state?.fullAttentionBytesPerToken ?? 0)).toBeGreaterThan(10 * capBytes);
    const prompt = Array.from({ length: 1440 }, (_, index) => 100 + ((index * 7919) % 40_000));
    const events = await collect(await ask(object, { prompt, maxTokens: 32, reportState: true }));
    expect(events.at(-1)).toMatchObject({ type: "finish", reason: "length", usage: { promptTokens: 1440, completionTokens: 32 } });
    expect(tokensOf(events)).toHaveLength(32);
    const told = events.flatMap((event) => ("state" in event ? [event.state] : []));
    // Window and salient tokens are full by then; pages of 32 tokens come and go.
    const late = told.filter(({ tokens }) => tokens > 900).map(({ bytes }) => bytes);
    expect(late.length).toBeGreaterThan(32);
    expect(Math.max(...late)).toBeLessThanOrEqual(state?.bytes ?? 0);
    expect(Math.min(...late)).toBeGreaterThan(0.85 * Math.max(...late));
    const bytes = await object.memoryBytes();
    console.log(`linear memory with the model and one full state of ${String(late.at(-1))} bytes: ${(bytes / 2 ** 20).toFixed(2)} MiB`);
    expect(bytes).toBeGreaterThan(90 * 1024 * 1024);
    expect(bytes).toBeLessThanOrEqual(capBytes);
    // The engine keeps the scratch memory of its longest sequence; beyond that nothing stays behind.
    const { freeStateBytes } = await object.load();
    await collect(await ask(object, { prompt: prompt.slice(0, 100), maxTokens: 4 }));
    expect((await object.load()).freeStateBytes).toBe(freeStateBytes);
  });

  it("lets a full state out, takes it in again and goes on as if it had read everything", { timeout: 240_000 }, async () => {
    const object = bindings.ENGINE_OBJECT.getByName("memory");
    const generate = async (changes: Parameters<typeof ask>[1]) => {
      const outcome = await ask(object, changes);
      if (!outcome.ok) throw new Error(outcome.failure.message);
      return await collectAll(outcome.value);
    };
    const text = Array.from({ length: 700 }, (_, index) => 100 + ((index * 7919) % 40_000));
    const first = await generate({ prompt: text, maxTokens: 4, save: { at: [], end: true, fromPage: 0 } });
    const [file = new Uint8Array()] = filesOf(first).values();
    const models = await object.models();
    const most = models.ok ? (models.value[0]?.state?.bytes ?? 0) : 0;
    expect(file.length).toBeGreaterThan(most / 2);
    expect(file.length).toBeLessThan(1.1 * most);
    const next = [300, 400, 500];
    const read = [...text, ...tokensOf(first)];
    const { freeStateBytes } = await object.load();
    const resume = { tokens: read.length, state: sourceOf(file, read, 100_000), seen: new Uint32Array() };
    const warm = await generate({ prompt: next, maxTokens: 8, resume });
    expect(tokensOf(warm)).toEqual(tokensOf(await generate({ prompt: [...read, ...next], maxTokens: 8 })));
    expect(warm.at(-1)).toMatchObject({ usage: { cachedTokens: 704, promptTokens: 707 } });
    expect((await object.load()).freeStateBytes).toBe(freeStateBytes);
    expect(await object.memoryBytes()).toBeLessThanOrEqual(capBytes);
  });

  it("loads the weights once for all objects of the isolate, which share what is free", async () => {
    const objects = ["one", "two", "three"].map((name) => bindings.ENGINE_OBJECT.getByName(name));
    const results = await Promise.all(
      objects.map(async (object) => tokensOf(await collect(await ask(object, { prompt: [1, 4093, 198], maxTokens: 8 })))),
    );
    expect(results[0]).toHaveLength(8);
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
    expect(await objects[0]?.memoryBytes()).toBeLessThanOrEqual(capBytes);
    const free = await Promise.all(objects.map(async (object) => (await object.load()).freeStateBytes));
    expect(new Set(free).size).toBe(1);
  });

  it("serves more than it can hold at once by making some wait, never by running out", async () => {
    const objects = ["left", "right"].map((name) => bindings.ENGINE_OBJECT.getByName(name));
    const prompts = [0, 1, 2].map((seed) => Array.from({ length: 440 }, (_, index) => 100 + ((index * 31 + seed * 977) % 40_000)));
    const generate = async (index: number): Promise<number[]> => {
      const object = objects[index % 2];
      if (object === undefined) throw new Error("no such object");
      return tokensOf(await collect(await ask(object, { prompt: prompts[index] ?? [], maxTokens: 4 })));
    };
    const together = await Promise.all([0, 1, 2].map(generate));
    const alone: number[][] = [];
    for (const index of [0, 1, 2]) alone.push(await generate(index));
    expect(together).toEqual(alone);
    expect(await objects[0]?.memoryBytes()).toBeLessThanOrEqual(capBytes);
  });
});
