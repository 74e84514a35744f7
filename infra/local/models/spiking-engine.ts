/**
 * The engine Worker's configuration with another spiking mode, or with the stages of a model beside it. wrangler gives variables of the command
 * line to the first Worker alone, so those of the others need files of their own.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { SpikingMode } from "../../../workers/contracts/spikes.ts";
import { inRepository } from "../paths.ts";
import { engineConfiguration } from "../stack.ts";
import { stagesBeside, writeStageConfigurations, type StageConfigurations, type StagedModel } from "../stages/configurations.ts";

/** Paths of the original, and what they are as seen from `dist`. */
const moved = [
  ['main = "index.ts"', 'main = "../workers/engine/index.ts"'],
  ['directory = "../../dist/engine"', 'directory = "engine"'],
] as const;

/**
 * Paths of the configurations of the engine Worker and of those beside it that hold the rest of its model, all in the same mode; the engine's committed
 * one where no mode is asked for and the model is whole.
 */
export function engineConfigurationsFor(mode: SpikingMode | undefined, model: StagedModel = {}): StageConfigurations {
  if (stagesBeside(model) > 0)
    return writeStageConfigurations(model, { change: (text) => text.replace('SPIKES = ""', `SPIKES = "${mode ?? ""}"`) });
  if (mode === undefined) return { engine: engineConfiguration, stages: [] };
  const path = `dist/engine-${mode}.toml`;
  writeFileSync(inRepository(path), withMode(readFileSync(inRepository(engineConfiguration), "utf8"), mode));
  return { engine: path, stages: [] };
}

export function withMode(toml: string, mode: string): string {
  return [['SPIKES = ""', `SPIKES = "${mode}"`] as const, ...moved].reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`workers/engine/wrangler.toml must hold the line ${from}; it does not.`);
    return text.replace(from, to);
  }, toml);
}
