/** The engine's surface, as wasm/API.md says it: names, codes, messages, and what a mistake leaves behind. */
import { describe, expect, it } from "vitest";
import { loadGolden, opened, packages, parameters, refusal, type Package } from "./packages.ts";

const model = "alternating-q8_0";

describe.each(packages)("the %s package's Engine", (name, built: Package) => {
  it("describes what is loaded", () => {
    const engine = loadGolden(built, model);
    const { parameters: count, weightBytes, ...rest } = JSON.parse(engine.describe()) as Record<string, number>;
    expect(rest).toEqual({
      architecture: "spikingbrain",
      kvType: "f32",
      spikes: "off",
      name: "tiny",
      vocabularySize: 59,
      contextLength: 4096,
      layers: 3,
      kvHeads: 2,
      constantState: false,
      salientTokens: null,
      kernel: name,
      bosTokenId: null,
      eosTokenIds: [0],
    });
    expect(count).toBeGreaterThan(40_000);
    // Q8_0 takes 34 bytes for 32 weights, but norms and biases are f32.
    expect((weightBytes ?? 0) / (count ?? 1)).toBeCloseTo(1.1, 1);
    engine.free();
  });

  it("says which evicted tokens a head keeps, and that the state is constant", () => {
    const engine = loadGolden(built, "evicted-q8_0");
    expect(JSON.parse(engine.describe())).toMatchObject({ kvHeads: 2, constantState: true, salientTokens: 37 });
    expect(engine.stateBytes(1_000)).toBe(engine.stateBytes(2 ** 30));
    const sequence = opened(
      engine,
      Array.from({ length: 60 }, (_, at) => (at * 7) % 59),
    );
    expect(engine.salientPositions(sequence, 0, 0)).toEqual(new Uint32Array());
    engine.step(Uint32Array.of(sequence, 20));
    // The window holds 11 tokens for the next query, and 3 are kept.
    expect(engine.salientPositions(sequence, 1, 1)).toEqual(Uint32Array.of(3, 4, 5, 6, 7, 8));
    engine.step(Uint32Array.of(sequence, 40));
    expect(new Set(engine.salientPositions(sequence, 1, 1)).size).toBe(37);
    expect(refusal(() => engine.salientPositions(sequence, 2, 0))).toEqual({
      code: "invalid_argument",
      message: "invalid argument: a layer and a KV head must be an 'evicted' layer of 2 and a head of 2; they are 2 and 0",
    });
    engine.free();
  });

  it.each([
    ["nonsense", "parameters: expected"],
    ["{}", "missing field `sampling`"],
    [parameters({ temperature: 3 }), "temperature must be from 0 and at most 2; it is 3"],
    [parameters({ topP: 0 }), "topP must be above 0"],
    [parameters({ logitBias: [[59, 1]] }), "logitBias names token 59"],
    [parameters({}, { stopTokens: [1000] }), "stopTokens names token 1000"],
    [parameters({}, { minTokens: -1 }), "invalid value: integer `-1`"],
    [parameters({}, { mood: "good" }), "unknown field `mood`"],
  ])("refuses to open with %s", (json, message) => {
    const engine = loadGolden(built, model);
    expect(refusal(() => engine.open(json))).toEqual({ code: "invalid_argument", message: expect.stringContaining(message) as string });
    engine.free();
  });

  it("refuses mistakes by name and goes on as if they had not been made", () => {
    const engine = loadGolden(built, model);
    const sequence = opened(engine, [1, 2, 3, 4]);
    engine.step(Uint32Array.of(sequence, 2));
    const before = engine.save(sequence);
    const mistakes: readonly (readonly [() => unknown, string])[] = [
      [
        () => {
          engine.step(Uint32Array.of(sequence));
        },
        "it has 1 numbers",
      ],
      [
        () => {
          engine.step(Uint32Array.of(sequence, 3));
        },
        "1 to 2 of its pending tokens; it has 3",
      ],
      [
        () => {
          engine.step(Uint32Array.of(sequence, 0));
        },
        "it has 0",
      ],
      [
        () => {
          engine.step(Uint32Array.of(sequence, 1, sequence, 1));
        },
        "once",
      ],
      [
        () => {
          engine.step(Uint32Array.of(77, 1));
        },
        "there is no sequence 77",
      ],
      [
        () => {
          engine.feed(sequence, Uint32Array.of(59));
        },
        "token 59 is not below the vocabulary size 59",
      ],
      [() => engine.sample(sequence), "has tokens to read"],
      [() => engine.pending(0), "there is no sequence 0"],
      [() => engine.fork(77), "there is no sequence 77"],
      [() => engine.save(77), "there is no sequence 77"],
      [() => engine.sequenceBytes(77), "there is no sequence 77"],
      [() => engine.takePromptLogprobs(77), "there is no sequence 77"],
      [
        () => {
          engine.evict(77);
        },
        "there is no sequence 77",
      ],
      [
        () => {
          engine.close(77);
        },
        "there is no sequence 77",
      ],
      [
        () => {
          engine.restore(sequence, before, Uint32Array.of(1, 2));
        },
        "is not empty",
      ],
    ];
    for (const [mistake, message] of mistakes) {
      expect(refusal(mistake)).toEqual({ code: "invalid_argument", message: expect.stringContaining(message) as string });
    }
    expect(engine.pending(sequence)).toBe(2);
    expect(engine.save(sequence)).toEqual(before);
    engine.free();
  });

  it("forks, saves, restores, evicts and closes", () => {
    const engine = loadGolden(built, model, { kvType: "int8" });
    const tokens = [5, 6, 7, 8, 9];
    const sequence = opened(engine, tokens);
    engine.step(Uint32Array.of(sequence, 5));
    const saved = engine.save(sequence);
    expect(engine.sequenceBytes(sequence)).toBeGreaterThan(0);
    const fork = engine.fork(sequence);
    const restored = engine.open(parameters());
    engine.restore(restored, saved, Uint32Array.from(tokens));
    engine.evict(sequence);
    expect([engine.pending(sequence), engine.sequenceBytes(sequence)]).toEqual([5, 0]);
    engine.step(Uint32Array.of(sequence, 5));
    const states = [sequence, fork, restored].map((one) => {
      engine.feed(one, Uint32Array.of(10));
      engine.step(Uint32Array.of(one, 1));
      return engine.save(one);
    });
    expect(states[1]).toEqual(states[0]);
    expect(states[2]).toEqual(states[0]);
    engine.close(fork);
    expect(refusal(() => engine.pending(fork)).message).toContain("there is no sequence");
    engine.free();
  });

  it("refuses a state that is not one, by name", () => {
    const engine = loadGolden(built, model);
    const sequence = opened(engine, [1, 2, 3]);
    engine.step(Uint32Array.of(sequence, 3));
    const saved = engine.save(sequence);
    const empty = engine.open(parameters());
    const broken = saved.slice();
    broken.set([0, 0, 0xc0, 0x7f], saved.length - 4);
    const other = loadGolden(built, model, { kvType: "int8" });
    const attempts: readonly (readonly [Uint8Array, number[], string])[] = [
      [saved.subarray(0, saved.length - 1), [1, 2, 3], "it ends"],
      [new Uint8Array(), [1, 2, 3], "it ends after 0 bytes"],
      [saved, [1, 2], "it holds 3 tokens; 2 were given"],
      [broken, [1, 2, 3], "not finite"],
    ];
    for (const [bytes, tokens, message] of attempts) {
      expect(
        refusal(() => {
          engine.restore(empty, bytes, Uint32Array.from(tokens));
        }),
      ).toEqual({
        code: "invalid_state",
        message: expect.stringContaining(message) as string,
      });
    }
    const foreign = other.open(parameters());
    expect(
      refusal(() => {
        other.restore(foreign, saved, Uint32Array.of(1, 2, 3));
      }).code,
    ).toBe("invalid_state");
    engine.free();
    other.free();
  });

  it("throws once it is freed, and nothing worse", () => {
    const engine = loadGolden(built, model);
    engine.free();
    expect(() => engine.describe()).toThrow();
    expect(() => engine.open(parameters())).toThrow();
    const next = loadGolden(built, model);
    expect(JSON.parse(next.describe())).toHaveProperty("kernel", name);
    next.free();
  });
});
