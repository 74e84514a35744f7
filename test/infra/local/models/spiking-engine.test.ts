import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { inRepository } from "../../../../infra/local/paths.ts";
import { engineConfigurationsFor, withMode } from "../../../../infra/local/models/spiking-engine.ts";
import { engineConfiguration } from "../../../../infra/local/stack.ts";

describe("the engine's configuration for a spiking mode", () => {
  it("is the committed one where no mode is asked for", () => {
    expect(engineConfigurationsFor(undefined)).toEqual({ engine: engineConfiguration, stages: [] });
  });

  it("differs from it in the mode and in where it lies", () => {
    const original = readFileSync(inRepository("workers/engine/wrangler.toml"), "utf8").split("\n");
    const changed = withMode(original.join("\n"), "paper").split("\n");
    const differing = changed.filter((line, at) => line !== original[at]);
    expect(differing).toEqual(['main = "../workers/engine/index.ts"', 'SPIKES = "paper"', 'directory = "engine"']);
    const [main = ""] = differing;
    expect(existsSync(join(dirname(inRepository("dist/engine-paper.toml")), main.slice('main = "'.length, -1)))).toBe(true);
  });

  it("refuses a configuration it does not know", () => {
    expect(() => withMode("", "paper")).toThrow("must hold the line");
  });
});
