/**
 * The engine Worker's configuration with another spiking mode. wrangler gives variables of the command line to the first Worker alone, so
 * those of the second need a file of their own.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { SpikingMode } from "../../../workers/contracts/spikes.ts";
import { inRepository } from "../paths.ts";
import { engineConfiguration } from "../stack.ts";

/** Paths of the original, and what they are as seen from `dist`. */
const moved = [
  ['main = "index.ts"', 'main = "../workers/engine/index.ts"'],
  ['directory = "../../dist/engine"', 'directory = "engine"'],
] as const;

/** Path of the engine Worker's configuration; the committed one where no mode is asked for. */
export function engineConfigurationFor(mode: SpikingMode | undefined): string {
  if (mode === undefined) return engineConfiguration;
  const path = `dist/engine-${mode}.toml`;
  writeFileSync(inRepository(path), withMode(readFileSync(inRepository(engineConfiguration), "utf8"), mode));
  return path;
}

export function withMode(toml: string, mode: string): string {
  return [['SPIKES = ""', `SPIKES = "${mode}"`] as const, ...moved].reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`workers/engine/wrangler.toml must hold the line ${from}; it does not.`);
    return text.replace(from, to);
  }, toml);
}
