/**
 * The Workers of a model in stages: one for each stage, made from `workers/stage/wrangler.toml` with its name and number, and the engine Worker bound to
 * the objects of all of them, each with the model's files that it reads and no others. They lie in a folder of `dist/stages` that is named by all that
 * is in them, so that stacks of other plans and settings leave it alone; for the local stack and for a deployment alike.
 */
import { createHash } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ModelManifest } from "../../../workers/contracts/model-files.ts";
import { inRepository } from "../paths.ts";

const engineSource = "workers/engine/wrangler.toml";
const stageSource = "workers/stage/wrangler.toml";
const plans = "dist/stages";
const stageName = "spikingbrain-stage-";
const digestCharacters = 16;

/** Paths of the sources, and what they are as seen from a plan's folder, in which `role` has its files. */
const moved = (worker: string, role: string): readonly (readonly [string, string])[] => [
  ['main = "index.ts"', `main = "../../../workers/${worker}/index.ts"`],
  ['directory = "../../dist/engine"', `directory = "${role}"`],
];

export interface StageConfigurations {
  readonly engine: string;
  readonly stages: readonly string[];
}

export type StagedModel = Pick<ModelManifest, "stages" | "shardsOfStages">;

export interface StagePlanOptions {
  /** Folder of the model's files, from the root, with `model` in it; the one that set-up writes unless given. */
  readonly files?: string;
  /** Of a configuration's text, which is the engine Worker's for stage 0. */
  readonly change?: (text: string, stage: number) => string;
}

/** How many Workers beside the engine's hold parts of a model; 0 where it is whole. */
export function stagesBeside({ stages = [] }: Pick<ModelManifest, "stages">): number {
  return Math.max(0, stages.length - 1);
}

/** Paths of the written configurations, from the root. Where it is not known what a stage reads of the model, it has all of it. */
export function writeStageConfigurations(
  model: StagedModel,
  { files = "dist/engine", change = (text) => text }: StagePlanOptions = {},
): StageConfigurations {
  const manifest = readFileSync(inRepository(files, "model/manifest.json"), "utf8");
  const { shards } = JSON.parse(manifest) as Pick<ModelManifest, "shards">;
  const sources = { engine: readFileSync(inRepository(engineSource), "utf8"), stage: readFileSync(inRepository(stageSource), "utf8") };
  const beside = stagesBeside(model);
  const workers = Array.from({ length: beside + 1 }, (_, stage) => ({
    role: roleOf(stage),
    text: change(stage === 0 ? engineWithStages(sources.engine, beside) : stageConfiguration(sources.stage, stage), stage),
    shards: model.shardsOfStages?.[stage] ?? shards.map(({ file }) => file),
  }));
  const digest = createHash("sha256").update(JSON.stringify({ manifest, workers })).digest("hex");
  const folder = `${plans}/${digest.slice(0, digestCharacters)}`;
  if (!existsSync(inRepository(folder)))
    make(inRepository(folder), (temporary) => {
      for (const { role, text, shards: read } of workers) {
        writeFileSync(join(temporary, `${role}.toml`), text);
        mkdirSync(join(temporary, role, "model"), { recursive: true });
        writeFileSync(join(temporary, role, "model/manifest.json"), manifest);
        for (const file of read) linkSync(inRepository(files, "model", file), join(temporary, role, "model", file));
      }
    });
  const [engine = "", ...stages] = workers.map(({ role }) => `${folder}/${role}.toml`);
  return { engine, stages };
}

const roleOf = (stage: number): string => (stage === 0 ? "engine" : `stage-${String(stage)}`);

/** Whole or not at all; whoever else makes the same folder meanwhile makes the same. */
function make(folder: string, fill: (temporary: string) => void): void {
  const temporary = `${folder}.${String(process.pid)}.tmp`;
  mkdirSync(temporary, { recursive: true });
  try {
    fill(temporary);
    renameSync(temporary, folder);
  } catch (cause) {
    if (!existsSync(folder)) throw cause;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

export function engineWithStages(toml: string, stages: number): string {
  const bindings = Array.from({ length: stages }, (_, at) => {
    const number = String(at + 1);
    return `[[durable_objects.bindings]]\nname = "STAGE_${number}"\nclass_name = "StageObject"\nscript_name = "${stageName}${number}"\n`;
  });
  return `${replaced(toml, moved("engine", roleOf(0)), engineSource)}\n${bindings.join("\n")}`;
}

export function stageConfiguration(toml: string, number: number): string {
  const own = [
    [`name = "${stageName}1"`, `name = "${stageName}${String(number)}"`],
    ['STAGE = "1"', `STAGE = "${String(number)}"`],
  ] as const;
  return replaced(toml, [...own, ...moved("stage", roleOf(number))], stageSource);
}

function replaced(toml: string, replacements: readonly (readonly [string, string])[], source: string): string {
  return replacements.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`${source} must hold the line ${from}; it does not.`);
    return text.replace(from, to);
  }, toml);
}
