/** The variables of `npm start`, checked before anything is said or done: a message names the variable, the rule and the value. */
import { accessSync, closeSync, constants, mkdirSync, openSync, readSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { spikingModes, type SpikingMode } from "../../workers/contracts/spikes.ts";
import { oneOf } from "../../workers/settings.ts";
import { modelIdPattern } from "./models/source.ts";
import { localModels, readRegistry } from "./models/registry.ts";
import { cacheDirectory } from "./paths.ts";
import { portFrom } from "./port.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface StartSettings {
  readonly port: number;
  /** Undefined leaves it to the model file. */
  readonly spikes: SpikingMode | undefined;
}

const ggufMagic = "GGUF";

/** A variable that is empty is not set. */
export function startSettings(environment: Environment = process.env): StartSettings {
  const port = portFrom(environment.PORT);
  const spikes = oneOf(environment, "SPIKES", spikingModes);
  checkModel(environment);
  checkKeys(environment.API_KEYS);
  checkCache(environment);
  return { port, spikes };
}

function checkModel({ SPIKINGBRAIN_MODEL: model, SPIKINGBRAIN_MODEL_ID: id }: Environment): void {
  const registered = readRegistry();
  const models = localModels(registered);
  if (model !== undefined && registered.has(model) && !models.has(model))
    throw new Error(
      `SPIKINGBRAIN_MODEL must be a model that this machine can run: one of ${[...models.keys()].join(", ")}, or the path of a GGUF; "${model}" is served by a pool only.`,
    );
  const isPath = model !== undefined && model !== "" && !models.has(model);
  if (id !== undefined && id !== "") {
    if (!isPath)
      throw new Error(`SPIKINGBRAIN_MODEL_ID names a file of your own, and SPIKINGBRAIN_MODEL is not a file's path; it is "${id}".`);
    if (!modelIdPattern.test(id))
      throw new Error(`SPIKINGBRAIN_MODEL_ID must be 1 to 200 letters, digits or the characters . _ : / -; it is "${id}".`);
  }
  if (!isPath) return;
  const fault = ggufFault(resolve(model));
  if (fault !== undefined)
    throw new Error(`SPIKINGBRAIN_MODEL must be the path of a GGUF or one of ${[...models.keys()].join(", ")}; "${model}" ${fault}.`);
}

/** What is wrong with a file at a glance; the reader of its metadata says the rest. */
function ggufFault(path: string): string | undefined {
  try {
    const status = statSync(path, { throwIfNoEntry: false });
    if (status === undefined) return "is not there";
    if (!status.isFile()) return status.isDirectory() ? "is a directory" : "is not a file";
    const file = openSync(path, "r");
    try {
      const start = Buffer.alloc(ggufMagic.length);
      readSync(file, start);
      return start.toString("latin1") === ggufMagic ? undefined : `does not begin with "${ggufMagic}"`;
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return `cannot be read (${codeOf(error)})`;
  }
}

function checkKeys(keys: string | undefined): void {
  if (keys === undefined || keys === "") return;
  if (keys.split(",").every((key) => key.trim() === ""))
    throw new Error(`API_KEYS must hold at least one key that is not blank, or not be set; it is "${keys}".`);
}

/** Makes the directory if it is not there, and writes a file in it. */
function checkCache(environment: Environment): void {
  const directory = cacheDirectory(environment);
  const fault = directoryFault(directory);
  const shown =
    environment.SPIKINGBRAIN_CACHE === undefined || environment.SPIKINGBRAIN_CACHE === "" ? directory : environment.SPIKINGBRAIN_CACHE;
  if (fault !== undefined)
    throw new Error(`SPIKINGBRAIN_CACHE must be a directory that can be written to; it is "${shown}", where ${fault}.`);
}

function directoryFault(directory: string): string | undefined {
  // Node's recursive mkdir never returns where the kernel answers ENOENT for a directory that is there, as under /proc.
  const missing: string[] = [];
  let existing = directory;
  while (statSync(existing, { throwIfNoEntry: false }) === undefined && dirname(existing) !== existing) {
    missing.unshift(existing);
    existing = dirname(existing);
  }
  try {
    if (!statSync(existing).isDirectory()) return `${existing} is not a directory`;
    accessSync(existing, constants.W_OK);
    for (const path of missing) makeDirectory(path);
    const probe = join(directory, `.${String(process.pid)}.tmp`);
    try {
      writeFileSync(probe, "1");
    } finally {
      rmSync(probe, { force: true });
    }
    return undefined;
  } catch (error) {
    return `nothing can be written (${codeOf(error)})`;
  }
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    // Two starts at once make the same one.
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
