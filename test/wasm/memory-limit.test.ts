/** The limit is on the linear memory: what does not fit is refused with `out_of_memory`, and the memory does not grow past it. */
import { describe, expect, it, onTestFinished } from "vitest";
import { engineErrorCode } from "../../workers/engine/engine-surface.ts";
import { goldenFile, loadGolden, packages, parameters, type Engine, type Package } from "./packages.ts";
import { restore, saved } from "./state-files.ts";

const mebibyte = 1 << 20;
const model = "alternating-q8_0";

function code(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    return engineErrorCode(error) ?? String(error);
  }
  return undefined;
}

/** An engine that goes when the test ends, however it ends. */
function engineFor(built: Package, options: object): Engine {
  const engine = loadGolden(built, model, options);
  onTestFinished(() => {
    engine.free();
  });
  return engine;
}

describe.each(packages)("the %s package", (_, built: Package) => {
  it("refuses a model whose weights do not fit, from its header alone", () => {
    const loader = new built.ModelLoader(JSON.stringify({ kvType: "f32", memoryLimitBytes: mebibyte }));
    const header = goldenFile(`${model}.gguf`);
    expect(
      code(() => {
        loader.push(header.subarray(0, 12_000));
      }),
    ).toBe("out_of_memory");
    loader.free();
  });

  it("opens as many sequences as fit, and refuses the next before any change", () => {
    const limit = 4 * mebibyte;
    const engine = engineFor(built, { kvType: "int8", memoryLimitBytes: limit });
    const free = engine.freeStateBytes();
    expect(free).toBeGreaterThan(mebibyte / 2);
    const tokens = Uint32Array.from({ length: 500 }, (_unused, index) => index % 59);
    const read: number[] = [];
    let refused: number | undefined;
    while (refused === undefined) {
      const sequence = engine.open(parameters());
      const outcome = code(() => {
        engine.feed(sequence, tokens);
        engine.step(Uint32Array.of(sequence, tokens.length));
      });
      if (outcome === undefined) read.push(sequence);
      else {
        expect(outcome).toBe("out_of_memory");
        refused = sequence;
      }
      expect(read.length).toBeLessThan(1000);
    }
    expect(read.length).toBeGreaterThan(2);
    expect(engine.sequenceBytes(refused)).toBe(0);
    expect(engine.memoryBytes()).toBeLessThanOrEqual(limit);
    // As much as was said: the next would not have fitted by the engine's own account either.
    expect(engine.stateBytes(tokens.length)).toBeGreaterThan(engine.freeStateBytes());
    const [first = 0] = read;
    const file = saved(engine, first);
    expect(file.length).toBeGreaterThan(0);
    const empty = engine.open(parameters());
    expect(code(() => restore(engine, empty, file, tokens))).toBe("out_of_memory");
    expect(engine.sequenceBytes(empty)).toBe(0);
    while (code(() => engine.fork(first)) === undefined);
    expect(code(() => engine.fork(first))).toBe("out_of_memory");
    expect(engine.memoryBytes()).toBeLessThanOrEqual(limit);
    // Closing makes room: for the state alone, its bytes take none.
    for (const sequence of read.slice(1, 3)) engine.close(sequence);
    restore(engine, empty, file, tokens);
    expect(saved(engine, empty)).toEqual(file);
    expect(engine.memoryBytes()).toBeLessThanOrEqual(limit);
  });

  it("takes chunks of any size and tokens of any number without growing by them", () => {
    const engine = engineFor(built, { kvType: "f32", memoryLimitBytes: 8 * mebibyte });
    const before = engine.memoryBytes();
    const sequence = engine.open(parameters());
    expect(code(() => restore(engine, sequence, new Uint8Array(64 * mebibyte), new Uint32Array(2 ** 22), 2 ** 30))).toBe("invalid_state");
    expect(engine.memoryBytes()).toBe(before);
  });

  it("takes a chunk of any size without growing by it", () => {
    const engine = engineFor(built, { kvType: "f32" });
    const before = engine.memoryBytes();
    const loader = new built.ModelLoader('{"kvType":"f32"}');
    const file = goldenFile(`${model}.gguf`);
    const longer = new Uint8Array(64 * mebibyte);
    longer.set(file);
    expect(
      code(() => {
        loader.push(longer);
      }),
    ).toBe("invalid_gguf");
    loader.free();
    expect(engine.memoryBytes() - before).toBeLessThan(2 * mebibyte);
  });

  it("gives everything back", () => {
    const bytes = (): number => {
      const engine = loadGolden(built, model);
      const size = engine.memoryBytes();
      engine.free();
      return size;
    };
    const first = bytes();
    for (let round = 0; round < 50; round += 1) bytes();
    expect(bytes()).toBe(first);
  });
});
