/** What a deployment reads of this repository: the Workers, their code, and what is written of their variables. */
import { globSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { inRepository } from "../local/paths.ts";
import type { ConsistencyInput } from "./consistency.ts";
import { readWorkers, type Worker } from "./workers.ts";

const documentPath = "infra/README.md";

export function readRepository(workers: readonly Worker[] = readWorkers()): ConsistencyInput {
  return {
    workers,
    sources: new Map(workers.map((worker) => [worker.role, sourcesOf(worker)])),
    document: { path: documentPath, text: readFileSync(inRepository(documentPath), "utf8") },
  };
}

/** Of the folder that its main module is in. */
function sourcesOf({ folder, raw }: Worker): string[] {
  const root = dirname(`${folder}/${raw.main ?? ""}`);
  return globSync("**/*.ts", { cwd: root, exclude: (name) => name === ".wrangler" }).map((file) => readFileSync(`${root}/${file}`, "utf8"));
}
