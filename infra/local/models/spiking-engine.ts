/**
 * The engine Worker's configuration with another spiking mode. wrangler gives variables of the command line to the first Worker alone, so
 * those of the second need a file of their own.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { SpikingMode } from "../../../workers/contracts/spikes.ts";
import { inRepository } from "../paths.ts";
import { defaultConfigurations, engineConfiguration } from "../stack.ts";

/** Paths of the original, and what they are as seen from `dist`. */
const moved = [
  ['main = "index.ts"', 'main = "../workers/engine/index.ts"'],
  ['directory = "../../dist/engine"', 'directory = "engine"'],
] as const;

/** Configurations for `startStack`; undefined, the default ones, where `SPIKES` is not set. */
export function configurationsFor(mode: SpikingMode | undefined): readonly string[] | undefined {
  if (mode === undefined) return undefined;
  const path = `dist/engine-${mode}.toml`;
  writeFileSync(inRepository(path), withMode(readFileSync(inRepository(engineConfiguration), "utf8"), mode));
  return defaultConfigurations.map((configuration) => (configuration === engineConfiguration ? path : configuration));
}

export function withMode(toml: string, mode: string): string {
  return [['SPIKES = ""', `SPIKES = "${mode}"`] as const, ...moved].reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`workers/engine/wrangler.toml must hold the line ${from}; it does not.`);
    return text.replace(from, to);
  }, toml);
}
