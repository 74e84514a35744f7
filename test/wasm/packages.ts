/** Both builds of the engine, each instantiated once, and short ways to put a golden model into them. */
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { inRepository } from "../../infra/local/paths.ts";
import { greedyParameters, greedySampling, type SamplingParameters } from "../../workers/contracts/engine.ts";
import { engineErrorCode } from "../../workers/engine/engine-surface.ts";
import * as relaxed from "../../wasm/pkg/relaxed/spikingbrain.js";
import * as simd128 from "../../wasm/pkg/simd128/spikingbrain.js";

export type Package = typeof relaxed | typeof simd128;
export type Engine = relaxed.Engine | simd128.Engine;

relaxed.initSync({ module: readFileSync(inRepository("wasm/pkg/relaxed/spikingbrain_bg.wasm")) });
simd128.initSync({ module: readFileSync(inRepository("wasm/pkg/simd128/spikingbrain_bg.wasm")) });

export const relaxedPackage: Package = relaxed;

export const packages: readonly (readonly [string, Package])[] = [
  ["simd128", simd128],
  ["relaxed", relaxed],
];

export function goldenFile(name: string): Uint8Array {
  return readFileSync(inRepository("test/golden/engine", name));
}

export function loadGolden(built: Package, model: string, options: object = { kvType: "f32" }): Engine {
  const loader = new built.ModelLoader(JSON.stringify(options));
  loader.push(goldenFile(`${model}.gguf`));
  return loader.finish();
}

/** Parameters of `open`, greedy unless something else is said. */
export function parameters(sampling: Partial<SamplingParameters> = {}, rest: object = {}): string {
  return JSON.stringify({
    ...greedyParameters,
    sampling: { ...greedySampling, ...sampling },
    ...rest,
  });
}

/** A new sequence that has these tokens to read. */
export function opened(engine: Pick<Engine, "open" | "feed">, tokens: readonly number[], json = parameters()): number {
  const sequence = engine.open(json);
  engine.feed(sequence, Uint32Array.from(tokens));
  return sequence;
}

/** The code and message of what `work` throws on purpose; anything else fails the test. */
export function refusal(work: () => unknown): { readonly code: string; readonly message: string } {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    const code = engineErrorCode(error);
    expect(code, String(error)).toBeDefined();
    return { code: code ?? "", message: (error as Error).message };
  }
  throw new Error("nothing was thrown");
}
