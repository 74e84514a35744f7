/** Both packages agree with the Python reference (`npm run golden`), and with the native engine bit for bit. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { inRepository } from "../../infra/local/paths.ts";
import { loadEngine } from "../../infra/node/engine-package.ts";
import { packageNames, type PackageName } from "../../infra/node/package-surface.ts";
import { greedyParameters } from "../../workers/contracts/engine.ts";
import type { SpikesByLayer, SpikingMode } from "../../workers/contracts/spikes.ts";
import type { EngineDescription } from "../../workers/engine/engine-surface.ts";
import type { Engine } from "./packages.ts";
import { restore, saved } from "./state-files.ts";

interface Vector {
  readonly model: string;
  readonly kind: string;
  readonly mode: SpikingMode;
  readonly tokens: readonly number[];
  readonly logits: readonly (readonly number[])[];
  readonly spikes: SpikesByLayer;
  readonly moreTokens: readonly number[];
  readonly moreLogits: readonly (readonly number[])[];
}

interface ReferenceRun {
  readonly model: string;
  readonly spikes: SpikingMode;
  readonly tokens: readonly number[];
  readonly logits: string;
  readonly state: string;
}

const golden = (file: string) => inRepository(`test/golden/${file}`);
const read = (file: string) => JSON.parse(readFileSync(golden(file), "utf8")) as unknown;
const names = readdirSync(golden(""))
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.slice(0, -".json".length));

const load = (name: PackageName, model: string, spikes: SpikingMode, kvType: "f32" | "int8") =>
  loadEngine(golden(model), { package: name, kvType, memoryLimitBytes: 2 ** 28, spikes });

function open(engine: Engine, countSpikes: boolean): number {
  return engine.open(JSON.stringify({ ...greedyParameters, countSpikes }));
}

function logits(engine: Engine, sequence: number, tokens: readonly number[]): Float32Array {
  engine.feed(sequence, Uint32Array.from(tokens));
  return engine.readLogits(sequence, tokens.length);
}

/** Root mean square of the differences, relative to the reference's. */
function distance(found: Float32Array, expected: readonly (readonly number[])[]): number {
  const numbers = expected.flat();
  if (numbers.length !== found.length) return Infinity;
  const squares = numbers.reduce((sum, number) => sum + number ** 2, 0);
  return Math.sqrt(numbers.reduce((sum, number, at) => sum + (number - (found[at] ?? NaN)) ** 2, 0) / squares);
}

/** As wasm/engine/tests/golden/main.rs says. */
function tolerance({ mode, kind }: Vector): number {
  return ["q8_0", "q4_0", "q4_1"].includes(kind) || (mode === "off" && kind === "w8") ? 4e-2 : 1e-4;
}

/** FNV-1a, 64 bits, as hexadecimal digits. */
function fnv(bytes: Uint8Array): string {
  const hash = bytes.reduce((sum, byte) => BigInt.asUintN(64, (sum ^ BigInt(byte)) * 0x0100_0000_01b3n), 0xcbf2_9ce4_8422_2325n);
  return hash.toString(16).padStart(16, "0");
}

describe.each(packageNames)("%s", (name) => {
  it.each(names)("agrees with the reference on %s: logits, spikes, and the state both ways", async (file) => {
    const vector = read(`${file}.json`) as Vector;
    const engine = await load(name, vector.model, vector.mode, "f32");
    const sequence = open(engine, vector.mode !== "off");
    expect(distance(logits(engine, sequence, vector.tokens), vector.logits)).toBeLessThan(tolerance(vector));
    if (vector.mode !== "off") expect(JSON.parse(engine.spikeCounts(sequence))).toEqual(vector.spikes);
    expect(distance(logits(engine, sequence, vector.moreTokens), vector.moreLogits)).toBeLessThan(tolerance(vector));

    const state = new Uint8Array(readFileSync(golden(`${file}.sbst`)));
    const restored = open(engine, false);
    restore(engine, restored, state, vector.tokens);
    expect(Buffer.from(saved(engine, restored)).equals(state)).toBe(true);
    expect(distance(logits(engine, restored, vector.moreTokens), vector.moreLogits)).toBeLessThan(tolerance(vector));
  });

  it("computes the native engine's bits in every spiking mode", async () => {
    for (const run of read("engine/reference.json") as readonly ReferenceRun[]) {
      const engine = await load(name, `${run.model}.gguf`, run.spikes, "int8");
      const sequence = open(engine, false);
      const found = logits(engine, sequence, run.tokens);
      expect({ ...run, logits: fnv(new Uint8Array(found.buffer)), state: fnv(saved(engine, sequence)) }).toEqual(run);
    }
  });

  it("says how it was loaded, and refuses to count where nothing fires", async () => {
    const spiking = await load(name, "seven.gguf", "released", "f32");
    expect(JSON.parse(spiking.describe())).toMatchObject({ spikes: "released", kvType: "int8" } satisfies Partial<EngineDescription>);
    const silent = await load(name, "seven.gguf", "off", "f32");
    expect(JSON.parse(silent.describe())).toMatchObject({ spikes: "off", kvType: "f32" });
    expect(silent.spikeCounts(open(silent, false))).toBe("null");
    expect(() => open(silent, true)).toThrow("spikes can be counted where the spiking mode is 'paper' or 'released'");
    expect(() => silent.readLogits(open(silent, false), 1)).toThrow("1 to 0 of its pending tokens");
  });
});
