/** Native scalar, simd128 and relaxed compute the same bits: both packages are held to what the native engine has written. */
import { afterAll, describe, expect, it } from "vitest";
import { goldenFile, loadGolden, packages, parameters, type Engine, type Package } from "./packages.ts";
import { saved } from "./state-files.ts";

interface Logprob {
  readonly id: number;
  /** Of the f32. */
  readonly bits: number;
  readonly top: readonly (readonly [id: number, bits: number])[];
}

interface Run {
  readonly model: string;
  readonly kvType: "f32" | "int8";
  readonly prompts: readonly [number[], number[]];
  readonly promptLogprobs: readonly (Logprob | null)[];
  readonly sampled: readonly { readonly id: number; readonly logprob: Logprob }[];
  readonly states: readonly [string, string];
}

/** As the engine's JSON has it. */
interface TokenLogprob {
  readonly id: number;
  readonly logprob: number;
  readonly top: readonly (readonly [id: number, logprob: number])[];
}

const runs = JSON.parse(new TextDecoder().decode(goldenFile("expected.json"))) as readonly Run[];

function bitsOf(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;
}

function inBits({ id, logprob, top }: TokenLogprob): Logprob {
  return { id, bits: bitsOf(logprob), top: top.map(([other, value]) => [other, bitsOf(value)] as const) };
}

/** FNV-1a of 64 bits, in hexadecimal, by halves of 32 bits: the prime is 2^40 + 0x1b3. */
function digest(bytes: Uint8Array): string {
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  for (const byte of bytes) {
    low = (low ^ byte) >>> 0;
    const product = low * 0x1b3;
    const carry = Math.floor(product / 2 ** 32);
    high = (Math.imul(high, 0x1b3) + (low << 8) + carry) >>> 0;
    low = product >>> 0;
  }
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}

/** What the golden command does natively, through the JavaScript surface. */
function replay(engine: Engine, { model, kvType, prompts }: Run): Run {
  const drawn = parameters({ temperature: 0.8, topP: 0.9, seed: 7 }, { topLogprobs: 2, promptLogprobs: 1 });
  const [a, b] = [engine.open(drawn), engine.open(parameters({}, { topLogprobs: 1 }))];
  engine.feed(a, Uint32Array.from(prompts[0]));
  engine.feed(b, Uint32Array.from(prompts[1]));
  for (const plan of [
    [a, 32],
    [b, 2, a, 32],
    [a, 5, b, 7],
    [a, 1],
  ])
    engine.step(Uint32Array.from(plan));
  const scores = JSON.parse(engine.takePromptLogprobs(a)) as readonly (TokenLogprob | null)[];
  const sampled: { id: number; logprob: Logprob }[] = [];
  for (let round = 0; round < 12; round += 1) {
    for (const sequence of [a, b]) {
      const { id, logprob } = JSON.parse(engine.sample(sequence)) as { readonly id: number; readonly logprob: TokenLogprob };
      sampled.push({ id, logprob: inBits(logprob) });
    }
    engine.step(Uint32Array.of(a, 1, b, 1));
  }
  const states = [digest(saved(engine, a)), digest(saved(engine, b))] as const;
  return { model, kvType, prompts, promptLogprobs: scores.map((score) => score && inBits(score)), sampled, states };
}

it("the digest is FNV-1a", () => {
  expect(digest(new Uint8Array())).toBe("cbf29ce484222325");
  expect(digest(new TextEncoder().encode("foobar"))).toBe("85944171f73967e8");
});

describe.each(packages)("the %s package", (name, built: Package) => {
  const engines: Engine[] = [];
  afterAll(() => {
    for (const engine of engines) engine.free();
  });

  it("says what it is", () => {
    expect(built.kernel()).toBe(name);
  });

  it("computes what plain loops do, at sizes that leave rests everywhere", () => {
    expect(built.kernelDifference()).toBeUndefined();
  });

  it.each(runs.map((run) => [run.model, run.kvType, run] as const))(
    "computes %s with keys and values in %s to the bit",
    (model, kvType, run) => {
      const engine = loadGolden(built, model, { kvType });
      engines.push(engine);
      expect(replay(engine, run)).toEqual(run);
    },
  );
});
