/** The engine's surface, as wasm/API.md says it: names, codes, messages, and what a mistake leaves behind. */
import { describe, expect, it } from "vitest";
import { loadGolden, opened, packages, parameters, refusal, type Package } from "./packages.ts";
import { restore, saved } from "./state-files.ts";

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
      kvHeadsOfRanks: [2],
      constantState: false,
      hidden: 32,
      learnedSinks: 0,
      passTokens: 64,
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
    const before = saved(engine, sequence);
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
      [() => saved(engine, 77), "there is no sequence 77"],
      [() => engine.readSaved(sequence, 1), "is not being saved"],
      [() => engine.endRestore(sequence), "is not being restored"],
      [() => engine.beginSave(sequence, 0, '{"window":"int4"}'), "mode: unknown variant `int4`"],
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
      [() => restore(engine, sequence, before), "is not empty"],
      [() => restore(engine, engine.open(parameters()), before, [59]), "token 59 is not below the vocabulary size 59"],
    ];
    for (const [mistake, message] of mistakes) {
      expect(refusal(mistake)).toEqual({ code: "invalid_argument", message: expect.stringContaining(message) as string });
    }
    expect(engine.pending(sequence)).toBe(2);
    expect(saved(engine, sequence)).toEqual(before);
    engine.free();
  });

  it("forks, saves, restores, evicts and closes", () => {
    const engine = loadGolden(built, model, { kvType: "int8" });
    const tokens = [5, 6, 7, 8, 9];
    const sequence = opened(engine, tokens);
    engine.step(Uint32Array.of(sequence, 5));
    const file = saved(engine, sequence);
    expect(engine.sequenceBytes(sequence)).toBeGreaterThan(0);
    const fork = engine.fork(sequence);
    const restored = engine.open(parameters());
    expect(restore(engine, restored, file, tokens)).toBe(tokens.length);
    expect(refusal(() => engine.evict(restored))).toEqual({
      code: "state_lost",
      message: expect.stringContaining("cannot read the first 5 tokens again") as string,
    });
    engine.evict(sequence);
    expect([engine.pending(sequence), engine.sequenceBytes(sequence)]).toEqual([5, 0]);
    engine.step(Uint32Array.of(sequence, 5));
    const states = [sequence, fork, restored].map((one) => {
      engine.feed(one, Uint32Array.of(10));
      engine.step(Uint32Array.of(one, 1));
      return saved(engine, one);
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
    const file = saved(engine, sequence);
    const empty = engine.open(parameters());
    const broken = file.slice();
    broken.set([0, 0, 0xc0, 0x7f], file.length - 4);
    const other = loadGolden(built, model, { kvType: "int8" });
    const attempts: readonly (readonly [Uint8Array, string])[] = [
      [file.subarray(0, file.length - 1), "it ends"],
      [new Uint8Array(), "it ends after 0 bytes"],
      [broken, "not finite"],
      [Uint8Array.of(...file, 0), "1 bytes follow its end"],
    ];
    for (const [bytes, message] of attempts) {
      expect(refusal(() => restore(engine, empty, bytes))).toEqual({
        code: "invalid_state",
        message: expect.stringContaining(message) as string,
      });
      expect(engine.sequenceBytes(empty)).toBe(0);
    }
    expect(refusal(() => restore(other, other.open(parameters()), file)).code).toBe("invalid_state");
    expect(refusal(() => other.describeState(file)).message).toContain("its keys and values have type 0; this engine uses Int8");
    expect(restore(engine, empty, file)).toBe(3);
    engine.free();
    other.free();
  });

  it("says of a state file's first bytes what it holds and takes", () => {
    const engine = loadGolden(built, model);
    const sequence = opened(engine, [1, 2, 3]);
    engine.step(Uint32Array.of(sequence, 3));
    const file = saved(engine, sequence);
    const whole = { tokens: 3, bytes: engine.sequenceBytes(sequence) };
    expect(JSON.parse(engine.describeState(file))).toEqual(whole);
    // Two groups: a window and all of the past.
    expect(engine.describeState(file.subarray(0, 151))).toBe("null");
    expect(JSON.parse(engine.describeState(file.subarray(0, 152)))).toEqual(whole);
    expect(refusal(() => engine.describeState(Uint8Array.of(71, 71)))).toMatchObject({ code: "invalid_state" });
    engine.free();
  });

  it("writes digests, and refuses the files of others where it knows its own", () => {
    const [own, other] = ["ab".repeat(32), "cd".repeat(32)];
    const load = (digests: object) => loadGolden(built, model, { kvType: "f32", ...digests });
    const engine = load({ modelDigest: own, tokenizerDigest: other });
    const sequence = opened(engine, [1, 2]);
    engine.step(Uint32Array.of(sequence, 2));
    const file = saved(engine, sequence);
    expect(Buffer.from(file.subarray(40, 104)).toString("hex")).toBe(own + other);
    const unknown = load({});
    expect(restore(unknown, unknown.open(parameters()), file)).toBe(2);
    const foreign = load({ modelDigest: other });
    expect(refusal(() => foreign.describeState(file)).message).toContain("it was made with other weights");
    expect(refusal(() => load({ modelDigest: "abc" })).message).toContain("a digest must be 64 hexadecimal digits; it is 'abc'");
    for (const one of [engine, unknown, foreign]) one.free();
  });

  it("leaves out the rows of earlier pages, and rounds where it is asked to", () => {
    const engine = loadGolden(built, "evicted-q8_0");
    const sequence = opened(
      engine,
      Array.from({ length: 40 }, (_, at) => (at * 7) % 59),
    );
    engine.step(Uint32Array.of(sequence, 40));
    const file = saved(engine, sequence);
    const head = 144 + Number(new DataView(file.buffer).getBigUint64(124, true));
    const tokenBytes = new DataView(file.buffer).getUint32(140, true);
    // 3 kept tokens and 11 of the window, 3 of which are in the page before.
    expect(file.length).toBe(head + 14 * tokenBytes);
    const part = saved(engine, sequence, { fromPage: 1, most: 1 });
    expect(part).toEqual(Uint8Array.of(...file.subarray(0, head), ...file.subarray(head + 6 * tokenBytes)));
    const rounded = saved(engine, sequence, { mode: '{"window":"int8","state":"bf16"}' });
    expect(rounded.length).toBeLessThan(file.length / 2);
    expect(restore(engine, engine.open(parameters()), rounded, [], 1)).toBe(40);
    engine.free();
  });

  it("goes on with the tokens of an answer that was broken off", () => {
    const engine = loadGolden(built, model, { kvType: "int8" });
    const sampling = { temperature: 1, seed: 3, topP: 0.9 };
    const answer = (sequence: number, count: number) =>
      Array.from({ length: count }, () => {
        engine.step(Uint32Array.of(sequence, engine.pending(sequence)));
        return (JSON.parse(engine.sample(sequence)) as { readonly id: number }).id;
      });
    const whole = answer(opened(engine, [1, 2, 3], parameters(sampling)), 12);
    const rest = opened(engine, [1, 2, 3, ...whole.slice(0, 5)], parameters(sampling, { continued: 5 }));
    expect(answer(rest, 7)).toEqual(whole.slice(5));
    engine.free();
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
