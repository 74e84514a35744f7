/**
 * `npm run setup:model [-- --all]`: writes what the Workers read of the models, see workers/contracts/model-files.ts. `dist/engine/model` (shards),
 * `dist/gateway/weights` (the same for browsers, where they may read them) and `dist/models/model` (card and tokenizer) of the model whose weights are
 * here; `catalog.ts` writes of the others. `--all` fetches every model's tokenizer.
 */
import { createHash } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ModelDownload, ModelManifest } from "../../../workers/contracts/model-files.ts";
import { prepareCatalog, type CatalogOptions } from "./catalog.ts";
import { descriptionFile } from "../../../workers/engine/description-file.ts";
import { engineFile, writeDescription } from "./description.ts";
import { digestFile } from "./digest.ts";
import { readGgufFacts, type GgufFacts } from "../gguf/metadata.ts";
import { factsOfFile, mustBeKnown } from "./known-facts.ts";
import { locateModel, type ModelSource } from "./source.ts";
import { writeSharedFiles } from "./shared-files.ts";
import { StampFile, type Stamp } from "./stamp.ts";
import { nameOf, withLock } from "../lock.mjs";
import { cacheDirectory, inRepository } from "../paths.ts";
import { othersServing } from "../port.ts";
import { reportFailure, isMain } from "../run.ts";
import { writeShards, type ShardedFile } from "../gguf/shards.ts";
import { shardsOfStages } from "../stages/shards.ts";
import { stagesOf } from "../stages/sizes.ts";

/** Raised when the form of the written files changes. */
const formatVersion = 13;

/** A browser's engine has an address space of 4 GiB, for weights and states. */
const mostDownloadBytes = 2 ** 31;

interface ModelStamp extends Stamp {
  readonly source: ModelSource;
  readonly sourceSha256: string;
  /** Of the engine that described it. */
  readonly engineSha256: string;
}

const stampIn = (output: string) => new StampFile<ModelStamp>(output, "model");

/**
 * One process at a time does so in a cache and in an output; others wait for it. Throws where what another process serves from this directory would
 * be replaced by another model under it.
 */
export async function prepareModel(output = inRepository("dist"), options: CatalogOptions = { all: false }): Promise<ModelManifest> {
  const cache = cacheDirectory();
  const source = await withLock(`cache-${nameOf(cache)}`, `fetching models into ${cache}`, () => locateModel());
  return await withLock(`output-${nameOf(output)}`, `preparing ${output}`, async () => {
    const manifest = await prepare(output, source);
    await withLock(`cache-${nameOf(cache)}`, `fetching models into ${cache}`, () => prepareCatalog(output, manifest, options));
    return manifest;
  });
}

/** How the model is cut that was prepared last; not at all where none is here. */
export function preparedModel(output = inRepository("dist")): Pick<ModelManifest, "stages" | "shardsOfStages"> {
  const path = join(output, "engine/model/manifest.json");
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as ModelManifest) : {};
}

async function prepare(output: string, source: ModelSource): Promise<ModelManifest> {
  const manifestPath = join(output, "engine/model/manifest.json");
  if (!(await isCurrent(output, source))) {
    if (output === inRepository("dist")) await mustNotBeServed(source);
    console.log(`Preparing model ${source.id} …`);
    await write(output, source);
  }
  return JSON.parse(readFileSync(manifestPath, "utf8")) as ModelManifest;
}

async function mustNotBeServed({ id }: ModelSource): Promise<void> {
  const [other] = await othersServing();
  if (other !== undefined)
    throw new Error(
      `Process ${String(other.pid)} serves another model from this directory, on port ${String(other.port)}. ` +
        `\`kill ${String(other.pid)}\` stops it; a second checkout can serve ${id} beside it.`,
    );
}

async function write(output: string, source: ModelSource): Promise<void> {
  if (source.known !== null) mustBeKnown(source.id, source.known, await factsOfFile(source.path));
  const facts = await readGgufFacts(source.path);
  const tokenizer = JSON.stringify(facts.tokenizer);
  const stages = await stagesOf(source.path);
  stampIn(output).remove();
  // What Workers of the model before were given of it.
  rmSync(join(output, "stages"), { recursive: true, force: true });
  const { sharded, manifest } = await replaceDirectory(join(output, "engine/model"), async (directory) => {
    const sharded = await writeShards(source.path, directory);
    const parts = stages === undefined ? {} : { stages, shardsOfStages: await shardsOfStages(directory, sharded.shards, stages) };
    const manifest = JSON.stringify({ ...manifestOf(source, facts, sharded, tokenizer), ...parts }, null, 2);
    writeFileSync(join(directory, "manifest.json"), manifest);
    // A model in stages has its engine in several isolates.
    if (stages === undefined) await writeDescription(directory, source.path);
    return { sharded, manifest };
  });
  const hasDescription = existsSync(join(output, "engine/model", descriptionFile));
  const shared = writeModelFacts(output, manifest, tokenizer);
  const download = downloadOf(source, sharded)?.files ?? [];
  await replaceDirectory(join(output, "gateway/weights"), (directory) => {
    for (const [at, { file }] of download.entries())
      linkSync(join(output, "engine/model", sharded.shards[at]?.file ?? ""), join(directory, file));
  });

  const files = [
    ...sharded.shards.map(({ file }) => `engine/model/${file}`),
    "engine/model/manifest.json",
    ...(hasDescription ? [`engine/model/${descriptionFile}`] : []),
    ...shared,
    ...download.map(({ file }) => `gateway/weights/${file}`),
  ];
  await stampIn(output).write({ formatVersion, source, sourceSha256: sharded.sha256, engineSha256: await digestFile(engineFile) }, files);
}

/** What Workers without its weights know of the model that this deployment serves. @returns the paths, relative to `output`. */
export function writeModelFacts(output: string, manifest: string, tokenizer: string): string[] {
  const files = new Map([
    ["model/tokenizer.json", tokenizer],
    ["model/manifest.json", manifest],
  ]);
  return writeSharedFiles(output, files, ["model"]);
}

/** What a card says of its model comes before what the file says: its license, and its sampling defaults as a whole. */
export function manifestOf(source: ModelSource, facts: GgufFacts, written: ShardedFile, tokenizer: string): ModelManifest {
  const { id, created, ownedBy, teacher } = source;
  const { contextLength, form, license } = facts;
  const defaults = Object.keys(source.defaults).length === 0 ? facts.defaults : source.defaults;
  const origin = { license: source.license ?? license, weights: null, teacher };
  const tokenizerSha256 = createHash("sha256").update(tokenizer).digest("hex");
  const places = { parameters: null, runsOn: ["engine", "pool"] } as const;
  const download = downloadOf(source, written);
  const given = download === undefined ? {} : { download };
  const decisions = decisionsOf(source, written);
  return { id, created, ownedBy, ...written, tokenizerSha256, contextLength, form, origin, defaults, ...places, ...given, ...decisions };
}

/** Of other weights than these it says nothing. */
function decisionsOf({ decisions }: ModelSource, { sha256 }: ShardedFile): Pick<ModelManifest, "decisions"> {
  if (decisions?.weights !== sha256) return {};
  const { labels, prior, temperature } = decisions;
  return { decisions: { labels, prior, temperature } };
}

/** What browsers may read of it: the shards, under names that never mean other bytes, so that whoever has one keeps it. */
function downloadOf({ download }: ModelSource, { bytes, shards }: ShardedFile): ModelDownload | undefined {
  if (!download || shards.length === 0 || bytes > mostDownloadBytes) return undefined;
  return { bytes, files: shards.map((shard) => ({ ...shard, file: `${shard.sha256}.bin` })) };
}

async function isCurrent(output: string, source: ModelSource): Promise<boolean> {
  const stamp = stampIn(output).read();
  if (stamp?.formatVersion !== formatVersion || stamp.engineSha256 !== (await digestFile(engineFile))) return false;
  if (JSON.stringify(stamp.source) !== JSON.stringify(source)) return false;
  return (await digestFile(source.path)) === stamp.sourceSha256 && (await stampIn(output).holds(stamp));
}

/** Fills a directory beside the old one and then takes its place, so that a reader never sees half of it. */
async function replaceDirectory<T>(directory: string, fill: (temporary: string) => T | Promise<T>): Promise<T> {
  const temporary = `${directory}.${String(process.pid)}.tmp`;
  mkdirSync(temporary, { recursive: true });
  try {
    const result = await fill(temporary);
    mkdirSync(dirname(directory), { recursive: true });
    rmSync(directory, { recursive: true, force: true });
    renameSync(temporary, directory);
    return result;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

if (isMain(import.meta.url)) {
  try {
    const all = process.argv.slice(2);
    const unknown = all.find((argument) => argument !== "--all");
    if (unknown !== undefined) throw new Error(`setup:model takes --all and nothing else; it was given "${unknown}".`);
    const manifest = await prepareModel(undefined, { all: all.length > 0 });
    console.log(`Model ${manifest.id} is ready: ${String(manifest.shards.length)} shards, ${(manifest.bytes / 2 ** 20).toFixed(1)} MiB.`);
  } catch (error) {
    reportFailure(error);
  }
}
