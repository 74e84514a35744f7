/** The built-in model through the engine gives the tokens that the reference in Python gives (`test/golden/served.py`), interrupted or not. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { locateModel } from "../../infra/local/models/source.ts";
import { inRepository } from "../../infra/local/paths.ts";
import { loadEngine } from "../../infra/node/engine-package.ts";
import { parameters } from "./packages.ts";
import { restore, saved } from "./state-files.ts";

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

  it.each(vectors)("continues as the reference does, and so does its saved state: $prompt.length tokens", ({ prompt, tokens }) => {
    const continuation = (sequence: number) => {
      const found = tokens.map(() => {
        engine.step(Uint32Array.of(sequence, engine.pending(sequence)));
        return (JSON.parse(engine.sample(sequence)) as { readonly id: number }).id;
      });
      engine.close(sequence);
      return found;
    };
    const sequence = engine.open(parameters({}, {}));
    engine.feed(sequence, Uint32Array.from(prompt));
    engine.step(Uint32Array.of(sequence, prompt.length - 1));
    const file = saved(engine, sequence);
    expect(continuation(sequence)).toEqual(tokens);
    const other = engine.open(parameters({}, {}));
    expect(restore(engine, other, file)).toBe(prompt.length - 1);
    engine.feed(other, Uint32Array.from(prompt.slice(-1)));
    expect(continuation(other)).toEqual(tokens);
  });

  it("has prompts that fill its window and that do not", () => {
    const lengths = vectors.map(({ prompt }) => prompt.length);
    expect(Math.min(...lengths)).toBeLessThan(100);
    expect(Math.max(...lengths)).toBeGreaterThan(1_000);
  });
});
