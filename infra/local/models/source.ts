/** Which GGUF is served: one of `infra/models`, made and checked, or the file that `SPIKINGBRAIN_MODEL` names. */
import { statSync } from "node:fs";
import { basename, extname, resolve } from "node:path";
import type { ModelTeacher, SamplingDefaults } from "../../../workers/contracts/model-files.ts";
import { mergedModel } from "./converted-model.ts";
import { readKnownFacts, type KnownFacts } from "./known-facts.ts";
import { fetchModelFile } from "./model-file.ts";
import {
  defaultModel,
  localModels,
  readRegistry,
  teacherOf,
  type LocalModel,
  type MeasuredDecisions,
  type RegisteredModel,
} from "./registry.ts";
import { servedFile } from "./served-file.ts";
import { cacheDirectory } from "../paths.ts";

export interface ModelSource {
  readonly path: string;
  /** Public model id. */
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly ownedBy: string;
  /** Null leaves it to the file. */
  readonly license: string | null;
  readonly teacher: ModelTeacher | null;
  /** Of its card; an empty one leaves them to the file. */
  readonly defaults: SamplingDefaults;
  /** How decisions are asked of it, and of which weights that was measured. */
  readonly decisions?: MeasuredDecisions;
  /** Whether visitors' browsers may read the weights. */
  readonly download: boolean;
  /** What the repository says of the file; null where it is nobody's but the operator's. */
  readonly known: KnownFacts | null;
}

/** What a model's public id may be. */
export const modelIdPattern = /^[\w.:/-]{1,200}$/;

/** Where a model is named, which messages say, and how: the id of a registered model or the path of a GGUF; `./id` is always a path. */
export interface NamedModel {
  readonly name: string;
  /** Undefined or empty where none is. */
  readonly value: string | undefined;
}

/** `named` is `SPIKINGBRAIN_MODEL` of the environment where no option says otherwise. */
export async function locateModel(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  named: NamedModel = { name: "SPIKINGBRAIN_MODEL", value: environment.SPIKINGBRAIN_MODEL },
): Promise<ModelSource> {
  const configured = named.value;
  const models = readRegistry();
  const local = localModels(models);
  const registered = local.get(configured === undefined || configured === "" ? defaultModel : configured);
  const download = isGivenAway(environment.SPIKINGBRAIN_DOWNLOAD, registered !== undefined);
  if (registered !== undefined) return { ...(await registeredSource(registered, models)), download };
  const path = resolve(configured ?? "");
  const status = statSync(path, { throwIfNoEntry: false });
  if (status?.isFile() !== true) {
    const ids = [...local.keys()].join(", ");
    throw new Error(`${named.name}: "${path}" is not a file; it must be the path of a GGUF or one of ${ids}.`);
  }
  const configuredId = environment.SPIKINGBRAIN_MODEL_ID;
  const id = configuredId === undefined || configuredId === "" ? slug(basename(path, extname(path))) : configuredId;
  if (!modelIdPattern.test(id)) {
    throw new Error(`SPIKINGBRAIN_MODEL_ID: "${id}" must be 1 to 200 letters, digits or the characters . _ : / -`);
  }
  const served = await servedFile(path, cacheDirectory());
  const created = Math.floor(status.mtimeMs / 1000);
  return { path: served, id, created, ownedBy: "local", license: null, teacher: null, defaults: {}, download, known: null };
}

/** What is registered here is published already; a file of one's own is nobody else's unless one says so. */
function isGivenAway(said: string | undefined, isRegistered: boolean): boolean {
  if (said === undefined || said === "") return isRegistered;
  if (said === "yes" || said === "no") return said === "yes";
  throw new Error(`SPIKINGBRAIN_DOWNLOAD: "${said}" must be yes or no: whether visitors' browsers may read the model's weights.`);
}

async function registeredSource(model: LocalModel, models: ReadonlyMap<string, RegisteredModel>): Promise<Omit<ModelSource, "download">> {
  const { id, created, ownedBy, license, defaults = {}, decisions } = model;
  const facts = { id, created, ownedBy, license, defaults, known: readKnownFacts(id), ...(decisions === undefined ? {} : { decisions }) };
  const cache = cacheDirectory();
  if ("file" in model) return { ...facts, path: await servedFile(await fetchModelFile(model.file, cache), cache), teacher: null };
  const teacher = teacherOf(model, models);
  const path = await mergedModel(id, await fetchModelFile(teacher.file, cache), model.delta, cache);
  return { ...facts, path, teacher: { ...teacher.source, license: teacher.license, sha256: teacher.file.sha256 } };
}

/** A model id from a file name: lower case, anything unusual becomes one dash. */
export function slug(name: string): string {
  const cleaned = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  return cleaned === "" ? "model" : cleaned;
}
