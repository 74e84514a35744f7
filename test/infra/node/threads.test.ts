/** A model over worker threads is the engine that is alone, to the bit: what it computes, what its states are, and how it refuses. */
import { afterEach, describe, expect, it } from "vitest";
import { inRepository } from "../../../infra/local/paths.ts";
import { locateModel } from "../../../infra/local/models/source.ts";
import { fileSize } from "../../../infra/node/engine-package.ts";
import { loadOverThreads, type ThreadedEngine, type ThreadsOptions } from "../../../infra/node/threads/load.ts";
import { versionOf } from "../../../infra/node/weights-file.ts";
import type { Engine } from "../../../workers/engine/engine-surface.ts";
import { loadGolden, opened, parameters, refusal, relaxedPackage as relaxed } from "../../wasm/packages.ts";
import { restore, saved } from "../../wasm/state-files.ts";

const options = { kvType: "int8", memoryLimitBytes: 2 ** 27, package: "relaxed" } as const;
const prompt = Array.from({ length: 75 }, (_, at) => (at * 11 + 3) % 29);

let running: ThreadedEngine[] = [];

async function over(threads: number, model: string, given: Partial<ThreadsOptions> = {}): Promise<Engine> {
  const loaded = await loadOverThreads(inRepository("test/golden/engine", `${model}.gguf`), { ...options, threads, ...given });
  running.push(loaded);
  return loaded.engine;
}

afterEach(async () => {
  await Promise.all(running.map((one) => one.end()));
  running = [];
});

/** Everything that shows of an answer: logits of a prompt's end, tokens, spikes, states, and how two texts go on from one. */
function shown(engine: Engine) {
  const { spikes } = JSON.parse(engine.describe()) as { readonly spikes: string };
  const sequence = opened(engine, prompt, parameters({ temperature: 0.9, seed: 4 }, { topLogprobs: 2, countSpikes: spikes !== "off" }));
  engine.step(Uint32Array.of(sequence, 64));
  const logits = engine.readLogits(sequence, prompt.length - 64);
  const next = () => {
    const sampled = engine.sample(sequence);
    engine.step(Uint32Array.of(sequence, 1));
    return sampled;
  };
  const sampled = [next(), next(), next()];
  const fork = engine.fork(sequence);
  const [whole, rest] = [saved(engine, sequence), saved(engine, sequence, { fromPage: 1, mode: '{"window":"int8","state":"bf16"}' })];
  sampled.push(next());
  const other = engine.open(parameters());
  const tokens = restore(engine, other, whole);
  engine.feed(other, Uint32Array.of(5, 6, 7));
  const resumed = engine.readLogits(other, 3);
  engine.evict(fork);
  engine.step(Uint32Array.of(fork, engine.pending(fork)));
  const again = engine.sample(fork);
  const facts = { counts: engine.spikeCounts(sequence), totals: engine.spikeTotals(sequence), bytes: engine.sequenceBytes(sequence) };
  for (const one of [sequence, fork, other]) engine.close(one);
  return { logits, sampled, whole, rest, tokens, resumed, again, ...facts };
}

describe("a model over worker threads", () => {
  it.each(["alternating-q4_0", "parallel-q4_0", "evicted-q8_0", "../seven-q4_0"])("makes the bits of one engine: %s", async (model) => {
    const spikes = model.startsWith("..") ? ({ spikes: "paper" } as const) : {};
    const expected = shown(loadGolden(relaxed, model, { kvType: "int8", ...spikes }));
    for (const threads of [2, 3]) expect(shown(await over(threads, model, spikes)), `${String(threads)} threads`).toEqual(expected);
  });

  it("refuses as one engine does, and goes on as if nothing had happened", async () => {
    const [alone, engine] = [loadGolden(relaxed, "alternating-q4_0", { kvType: "int8" }), await over(2, "alternating-q4_0")];
    const sequence = engine.open(parameters());
    alone.open(parameters());
    for (const work of [
      (one: Engine) => one.open("{}"),
      (one: Engine) => {
        one.feed(sequence, Uint32Array.of(59));
      },
      (one: Engine) => {
        one.step(Uint32Array.of(sequence, 1));
      },
      (one: Engine) => one.fork(77),
      (one: Engine) => one.sample(sequence),
      (one: Engine) => one.salientPositions(sequence, 0, 1),
    ])
      expect(refusal(() => work(engine))).toEqual(refusal(() => work(alone)));
    // One rank alone finds what is wrong with its part of a state; all refuse it.
    const state = saved(engine, opened(engine, []));
    const whole = loadGolden(relaxed, "alternating-q4_0", { kvType: "int8" });
    const text = opened(whole, prompt);
    whole.step(Uint32Array.of(text, prompt.length));
    const file = saved(whole, text);
    const broken = file.slice();
    new DataView(broken.buffer).setUint32(broken.length - 32, 0x7fc0_0000, true);
    const { code } = refusal(() => restore(engine, engine.open(parameters()), broken));
    expect(code).toBe("invalid_state");
    expect(refusal(() => restore(engine, engine.open(parameters()), file.subarray(0, 500))).message).toContain("it ends after");
    expect(restore(engine, engine.open(parameters()), state)).toBe(0);
    expect(shown(engine)).toEqual(shown(whole));
  });

  it("reads of the file what each thread needs, and tells how far all have come", async () => {
    const { path } = await locateModel();
    const told: (readonly [done: number, total: number])[] = [];
    const onProgress = (done: number, total: number) => void told.push([done, total]);
    const loaded = await loadOverThreads(path, { ...options, memoryLimitBytes: 2 ** 28, threads: 2, onProgress });
    running.push(loaded);
    const bytes = fileSize(path);
    // Half of the rows each, and the header and the vectors both.
    expect(Math.max(...loaded.bytesRead) / bytes).toBeLessThan(0.7);
    expect(loaded.bytesRead.reduce((sum, one) => sum + one, 0)).toBeGreaterThanOrEqual(bytes);
    expect(told.at(-1)).toEqual([2 * bytes, 2 * bytes]);
    expect(told.every(([done], at) => done > (told[at - 1]?.[0] ?? 0))).toBe(true);
  });

  it("does not load a file that is another, or no model", async () => {
    const version = await versionOf(inRepository("test/golden/engine/parallel-q4_0.gguf"));
    await expect(over(2, "alternating-q4_0", { version })).rejects.toThrow("was changed while it was loaded");
    await expect(over(2, "reference.json/..")).rejects.toThrow("is not a file");
  });
});
