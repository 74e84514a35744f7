/**
 * The engine Worker's configuration with another spiking mode. wrangler gives variables of the command line to the first Worker alone, so
 * those of the second need a file of their own.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { SpikingMode } from "../../../workers/contracts/spikes.ts";
import { inRepository } from "../paths.ts";
import { defaultConfigurations, engineConfiguration } from "../stack.ts";
import { writeStageConfigurations } from "../stages/configurations.ts";

/** Paths of the original, and what they are as seen from `dist`. */
const moved = [
  ['main = "index.ts"', 'main = "../workers/engine/index.ts"'],
  ['directory = "../../dist/engine"', 'directory = "engine"'],
] as const;

/** Configurations for `startStack`; undefined, the default ones, where `SPIKES` is not set and the model is not cut. `stages`: beside the engine. */
export function configurationsFor(mode: SpikingMode | undefined, stages = 0): readonly string[] | undefined {
  if (stages > 0) return stagedConfigurations(mode, stages);
  if (mode === undefined) return undefined;
  const path = `dist/engine-${mode}.toml`;
  writeFileSync(inRepository(path), withMode(readFileSync(inRepository(engineConfiguration), "utf8"), mode));
  return defaultConfigurations.map((configuration) => (configuration === engineConfiguration ? path : configuration));
}

/** With a Worker for each stage, all in the same mode. */
function stagedConfigurations(mode: SpikingMode | undefined, stages: number): readonly string[] {
  const spikes = `SPIKES = "${mode ?? ""}"`;
  const written = writeStageConfigurations(stages);
  for (const path of [written.engine, ...written.stages]) {
    const text = readFileSync(inRepository(path), "utf8");
    writeFileSync(inRepository(path), text.replace('SPIKES = ""', spikes));
  }
  const others = defaultConfigurations.map((configuration) => (configuration === engineConfiguration ? written.engine : configuration));
  return [...others, ...written.stages];
}

export function withMode(toml: string, mode: string): string {
  return [['SPIKES = ""', `SPIKES = "${mode}"`] as const, ...moved].reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`workers/engine/wrangler.toml must hold the line ${from}; it does not.`);
    return text.replace(from, to);
  }, toml);
}
