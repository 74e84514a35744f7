/** The Workers as their wrangler.toml files describe them, those that others are bound to first. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { experimental_readRawConfig as readRawConfig, type Unstable_RawConfig } from "wrangler";
import { inRepository } from "../local/paths.ts";
import { defaultConfigurations } from "../local/stack.ts";

export interface Worker {
  /** Its name without the deployment's, such as "gateway". */
  readonly role: string;
  readonly name: string;
  /** Path of its wrangler.toml, from the root. */
  readonly configuration: string;
  /** That file's folder. */
  readonly folder: string;
  readonly raw: Unstable_RawConfig;
  /** Text of its main module. */
  readonly source: string;
}

/** Its own declaration names a package that is not published. */
type ReadRawConfig = (options: { readonly config: string }) => { readonly rawConfig: Unstable_RawConfig };

/** What the names in the repository begin with. */
export const baseName = "spikingbrain";

/** In the order of deployment. @throws Error where they are bound in a circle. */
export function readWorkers(configurations: readonly string[] = defaultConfigurations): Worker[] {
  return ordered(configurations.map(readWorker));
}

function readWorker(configuration: string): Worker {
  const path = inRepository(configuration);
  const { rawConfig: raw } = (readRawConfig as ReadRawConfig)({ config: path });
  const { name = "", main = "" } = raw;
  if (!name.startsWith(`${baseName}-`)) throw new Error(`${configuration}: 'name' must begin with "${baseName}-"; it is "${name}".`);
  const folder = dirname(path);
  return { role: name.slice(baseName.length + 1), name, configuration, folder, raw, source: readFileSync(resolve(folder, main), "utf8") };
}

/** A Worker can only be bound to one that is there. @throws Error where they are bound in a circle. */
export function ordered(workers: readonly Worker[]): Worker[] {
  const done: Worker[] = [];
  const visit = (worker: Worker, path: readonly Worker[]): void => {
    if (done.includes(worker)) return;
    if (path.includes(worker)) throw new Error(`Workers are bound in a circle: ${[...path, worker].map(({ name }) => name).join(" -> ")}.`);
    const objects = (worker.raw.durable_objects?.bindings ?? []).flatMap(({ script_name: script }) => script ?? []);
    for (const service of [...(worker.raw.services ?? []).map((one) => one.service), ...objects]) {
      const bound = workers.find(({ name }) => name === service);
      if (bound !== undefined && bound !== worker) visit(bound, [...path, worker]);
    }
    done.push(worker);
  };
  for (const worker of workers) visit(worker, []);
  return done;
}
