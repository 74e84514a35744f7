/** The loader's surface, as wasm/API.md says it: names, codes, messages, and what a mistake leaves behind. */
import { describe, expect, it } from "vitest";
import { goldenFile, loadGolden, opened, packages, refusal, type Package } from "./packages.ts";
import { saved } from "./state-files.ts";

const model = "alternating-q8_0";

describe.each(packages)("the %s package's ModelLoader", (_, built: Package) => {
  it.each([
    ["{", "options: EOF"],
    ["null", "options: invalid type: null"],
    ["{}", "missing field `kvType`"],
    ['{"kvType":"f16"}', "unknown variant `f16`, expected `int8` or `f32`"],
    ['{"kvType":"f32","memoryLimitBytes":-1}', "invalid value: integer `-1`"],
    ['{"kvType":"f32","memoryLimitBytes":1e9}', "floating point"],
    ['{"kvType":"f32","colour":"red"}', "unknown field `colour`"],
  ])("refuses the options %s", (json, message) => {
    expect(refusal(() => new built.ModelLoader(json))).toEqual({
      code: "invalid_argument",
      message: expect.stringContaining(message) as string,
    });
  });

  it("throws as soon as something is wrong, and from then on", () => {
    const loader = new built.ModelLoader('{"kvType":"f32"}');
    const wrong = { code: "invalid_gguf", message: expect.stringContaining("not with 'GGUF'") as string };
    expect(
      refusal(() => {
        loader.push(new TextEncoder().encode("GGML and more of it, 24 bytes"));
      }),
    ).toEqual(wrong);
    expect(
      refusal(() => {
        loader.push(goldenFile(`${model}.gguf`));
      }),
    ).toEqual(wrong);
    expect(refusal(() => loader.finish())).toEqual(wrong);
  });

  it("takes what is put into its own memory", () => {
    const file = goldenFile(`${model}.gguf`);
    const loader = new built.ModelLoader('{"kvType":"f32"}');
    const most = loader.room().byteLength;
    expect(refusal(() => loader.pushRoom(most + 1))).toEqual({
      code: "invalid_argument",
      message: `invalid argument: the room has ${String(most)} bytes; ${String(most + 1)} cannot be taken`,
    });
    // Chunks that end within rows, some of them handed in by the other way.
    for (let [at, round] = [0, 0]; at < file.length; round += 1) {
      const chunk = file.subarray(at, at + Math.min(most, 10_007));
      if (round % 3 === 2) loader.push(chunk);
      else {
        loader.room().set(chunk);
        loader.pushRoom(chunk.byteLength);
      }
      at += chunk.byteLength;
    }
    const engine = loader.finish();
    const sequence = opened(engine, [1, 2, 3, 4]);
    engine.step(Uint32Array.of(sequence, 4));
    const found = saved(engine, sequence);
    engine.free();
    const whole = loadGolden(built, model);
    const expected = opened(whole, [1, 2, 3, 4]);
    whole.step(Uint32Array.of(expected, 4));
    expect(found).toEqual(saved(whole, expected));
    whole.free();
  });

  it("is consumed by finish, also when that throws", () => {
    const loader = new built.ModelLoader('{"kvType":"f32"}');
    expect(refusal(() => loader.finish())).toEqual({
      code: "invalid_gguf",
      message: expect.stringContaining("ends after 0 bytes") as string,
    });
    expect(() => loader.finish()).toThrow();
    expect(() => {
      loader.push(new Uint8Array(1));
    }).toThrow();
  });

  it("names an architecture it has no code for", () => {
    const bytes = goldenFile(`${model}.gguf`);
    const text = new TextDecoder("latin1").decode(bytes);
    bytes.set(new TextEncoder().encode("brainspiking"), text.indexOf("spikingbrain"));
    const loader = new built.ModelLoader('{"kvType":"f32"}');
    expect(
      refusal(() => {
        loader.push(bytes);
      }),
    ).toEqual({
      code: "unsupported_model",
      message: expect.stringContaining("'brainspiking'") as string,
    });
    loader.free();
  });

  it("takes chunks of any size for the same model", () => {
    const digests = [1, 61, 65_537, 1 << 30].map((size) => {
      const bytes = goldenFile(`${model}.gguf`);
      const loader = new built.ModelLoader('{"kvType":"int8"}');
      for (let at = 0; at < bytes.length; at += size) loader.push(bytes.subarray(at, at + size));
      const engine = loader.finish();
      const sequence = opened(engine, [1, 2, 3]);
      engine.step(Uint32Array.of(sequence, 3));
      const state = saved(engine, sequence);
      engine.free();
      return state;
    });
    for (const state of digests.slice(1)) expect(state).toEqual(digests[0]);
  });
});
