/** The built-in model through the engine gives the tokens that the reference in Python gives (`test/golden/served.py`). */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { locateModel } from "../../infra/local/model-source.ts";
import { inRepository } from "../../infra/local/paths.ts";
import { loadEngine } from "../../wasm/node/engine-package.ts";
import { parameters } from "./packages.ts";

interface Vector {
  readonly prompt: readonly number[];
  readonly tokens: readonly number[];
}

const vectors = JSON.parse(readFileSync(inRepository("test/golden/served/spikingbrain-135m.json"), "utf8")) as readonly Vector[];

/** A thousand tokens take seconds; a busy machine takes many. */
const timeoutMilliseconds = 240_000;

describe("the built-in model in the engine", { timeout: timeoutMilliseconds }, async () => {
  const { path } = await locateModel({});
  const engine = await loadEngine(path, { kvType: "f32", memoryLimitBytes: 2 ** 30 });

  it.each(vectors)("continues as the reference does: $prompt.length tokens", ({ prompt, tokens }) => {
    const sequence = engine.open(parameters({}, {}));
    engine.feed(sequence, Uint32Array.from(prompt));
    const found = tokens.map(() => {
      engine.step(Uint32Array.of(sequence, engine.pending(sequence)));
      return (JSON.parse(engine.sample(sequence)) as { readonly id: number }).id;
    });
    engine.close(sequence);
    expect(found).toEqual(tokens);
  });

  it("has prompts that fill its window and that do not", () => {
    const lengths = vectors.map(({ prompt }) => prompt.length);
    expect(Math.min(...lengths)).toBeLessThan(100);
    expect(Math.max(...lengths)).toBeGreaterThan(1_000);
  });
});
