/**
 * The Workers of a model in stages: one for each stage, made from `workers/stage/wrangler.toml` with its name and number, and the engine Worker bound to
 * the objects of all of them. Written into `dist/stages`, for the local stack and for a deployment alike.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { ModelManifest } from "../../../workers/contracts/model-files.ts";
import { inRepository } from "../paths.ts";

const engineSource = "workers/engine/wrangler.toml";
const stageSource = "workers/stage/wrangler.toml";
const folder = "dist/stages";
const stageName = "spikingbrain-stage-";

/** Paths of the sources, and what they are as seen from `dist/stages`. */
const moved = (worker: string): readonly (readonly [string, string])[] => [
  ['main = "index.ts"', `main = "../../workers/${worker}/index.ts"`],
  ['directory = "../../dist/engine"', 'directory = "../engine"'],
];

export interface StageConfigurations {
  readonly engine: string;
  readonly stages: readonly string[];
}

/** How many Workers beside the engine's hold parts of a model; 0 where it is whole. */
export function stagesBeside({ stages = [] }: Pick<ModelManifest, "stages">): number {
  return Math.max(0, stages.length - 1);
}

/** Paths of the written configurations, from the root. `engine`: the engine Worker's configuration, where it is another than its own. */
export function writeStageConfigurations(stages: number, engine = readFileSync(inRepository(engineSource), "utf8")): StageConfigurations {
  rmSync(inRepository(folder), { recursive: true, force: true });
  mkdirSync(inRepository(folder), { recursive: true });
  const write = (name: string, text: string): string => {
    const path = `${folder}/${name}.toml`;
    writeFileSync(inRepository(path), text);
    return path;
  };
  const source = readFileSync(inRepository(stageSource), "utf8");
  const numbers = Array.from({ length: stages }, (_, at) => at + 1);
  return {
    engine: write("engine", engineWithStages(engine, stages)),
    stages: numbers.map((number) => write(`stage-${String(number)}`, stageConfiguration(source, number))),
  };
}

export function engineWithStages(toml: string, stages: number): string {
  const bindings = Array.from({ length: stages }, (_, at) => {
    const number = String(at + 1);
    return `[[durable_objects.bindings]]\nname = "STAGE_${number}"\nclass_name = "StageObject"\nscript_name = "${stageName}${number}"\n`;
  });
  return `${replaced(toml, moved("engine"), engineSource)}\n${bindings.join("\n")}`;
}

export function stageConfiguration(toml: string, number: number): string {
  const own = [
    [`name = "${stageName}1"`, `name = "${stageName}${String(number)}"`],
    ['STAGE = "1"', `STAGE = "${String(number)}"`],
  ] as const;
  return replaced(toml, [...own, ...moved("stage")], stageSource);
}

function replaced(toml: string, replacements: readonly (readonly [string, string])[], source: string): string {
  return replacements.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`${source} must hold the line ${from}; it does not.`);
    return text.replace(from, to);
  }, toml);
}
