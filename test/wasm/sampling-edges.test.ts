/** Every sampling parameter at the edges of its type, in the built engine: a token, and the same one in every package. */
import { describe, expect, it } from "vitest";
import { greedySampling, type SamplingParameters } from "../../workers/contracts/engine.ts";
import { refusalOf } from "../../workers/contracts/request/check.ts";
import { request, testModel } from "../workers/engine/requests.ts";
import { biases, edgeFields } from "../workers/support/sampling-edges.ts";
import { loadGolden, opened, packages, parameters, type Engine } from "./packages.ts";

const model = "alternating-q8_0";
const vocabularySize = 59;
const prompt = [5, 17, 33, 17];

/** As the gateway asks for them, over a draw that everything can change. */
const asked: readonly Partial<SamplingParameters>[] = [
  ...edgeFields.flatMap(({ accepted }) => accepted.flatMap(([, sampling]) => (sampling === undefined ? [] : [sampling]))),
  ...biases.accepted.map(([key, , bias]) => ({ logitBias: [[Number(key), bias]] as const })),
  { repetitionPenalty: 5e-324, temperature: 5e-324, topP: 5e-324, minP: 5e-324 },
  {
    repetitionPenalty: 1e-38,
    temperature: 1e-6,
    presencePenalty: 2,
    frequencyPenalty: -2,
    logitBias: [
      [17, -100],
      [5, 100],
    ],
  },
  {
    repetitionPenalty: 2,
    temperature: 1e-45,
    logitBias: [
      [17, 100],
      [5, -100],
    ],
  },
];

interface Sample {
  readonly id: number;
  readonly logprob: { readonly logprob: number; readonly top: readonly (readonly [number, number])[] };
}

function answer(engine: Engine, sampling: Partial<SamplingParameters>): Sample[] {
  const sequence = opened(engine, prompt, parameters({ temperature: 1, seed: 7, ...sampling }, { topLogprobs: 3 }));
  engine.step(Uint32Array.of(sequence, prompt.length));
  const samples = Array.from({ length: 4 }, () => {
    const sample = JSON.parse(engine.sample(sequence)) as Sample;
    engine.step(Uint32Array.of(sequence, 1));
    return sample;
  });
  engine.close(sequence);
  return samples;
}

describe("sampling at the edges", () => {
  const engines = packages.map(([, built]) => loadGolden(built, model));

  it.each(asked.map((sampling) => [JSON.stringify(sampling), sampling] as const))("%s", (_name, sampling) => {
    const limits = { ...testModel, vocabularySize, contextLength: 100 };
    expect(refusalOf(request({ prompt, sampling: { ...greedySampling, temperature: 1, ...sampling } }), limits)).toBeUndefined();
    const [first, ...others] = engines.map((engine) => answer(engine, sampling));
    for (const { id, logprob } of first ?? []) {
      expect(id).toBeLessThan(vocabularySize);
      for (const value of [logprob.logprob, ...logprob.top.map(([, top]) => top)]) expect(Number.isFinite(value)).toBe(true);
    }
    for (const other of others) expect(other).toEqual(first);
  });

  it("chooses what the formula says in exact arithmetic", () => {
    const [engine] = engines;
    if (engine === undefined) throw new Error("no package");
    const likeliest = (sampling: Partial<SamplingParameters>) => answer(engine, sampling)[0]?.id;
    const greedy = likeliest({ temperature: 0 });
    for (const temperature of [5e-324, 1e-308, 1e-46, 1e-45]) expect(likeliest({ temperature })).toBe(greedy);
    for (const topP of [5e-324, 1e-308, 1e-46]) expect(likeliest({ topP })).toBe(greedy);
    // Penalties this small leave a choice among the tokens that were seen.
    for (const repetitionPenalty of [5e-324, 1e-308, 1e-38, 1e-30]) {
      const chosen = answer(engine, { repetitionPenalty }).map(({ id }) => id);
      for (const id of chosen) expect(prompt).toContain(id);
      expect(new Set(chosen).size).toBe(1);
    }
  });

  it("draws otherwise for seeds that agree in 32 bits, and alike for the same digits", () => {
    const [engine] = engines;
    if (engine === undefined) throw new Error("no package");
    const drawn = (seed: number | string) => {
      const sampling = { temperature: 2, seed };
      return [0, 1, 2].flatMap((more) => answer(engine, { ...sampling, seed: String(BigInt(seed) + BigInt(more)) }).map(({ id }) => id));
    };
    const seeds = [1, 1 + 2 ** 32, "9223372036854775809", "18446744069414584321"];
    expect(new Set(seeds.map((seed) => drawn(seed).join())).size).toBe(seeds.length);
    const ids = (seed: number | string) => answer(engine, { temperature: 2, seed }).map(({ id }) => id);
    expect(ids(7)).toEqual(ids("7"));
    expect(ids(2 ** 53 - 1)).toEqual(ids("9007199254740991"));
  });

  it("refuses by name what is no seed", () => {
    const [engine] = engines;
    for (const seed of ["", "-1", "1.5", "18446744073709551616"]) {
      expect(() => engine?.open(parameters({ seed }))).toThrow(/seed must be an unsigned 64-bit integer; it is/);
      expect(refusalOf(request({ sampling: { seed } }), { ...testModel, vocabularySize, contextLength: 100 })).toMatchObject({
        param: "sampling.seed",
      });
    }
    for (const seed of [-1, 1.5, 2 ** 53, Number.NaN])
      expect(refusalOf(request({ sampling: { seed } }), { ...testModel, vocabularySize, contextLength: 100 })).toMatchObject({
        param: "sampling.seed",
      });
  });
});
