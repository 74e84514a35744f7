/**
 * Requests that go to the first Worker before its static assets: `run_worker_first` of its configuration. wrangler would hand each of them through two
 * Workers of its own, on the thread that all Workers have; on Cloudflare there are none.
 */
import { readFileSync } from "node:fs";

export interface WorkerFirst {
  readonly worker: string;
  /** Paths, or `/beginning/*`. */
  readonly paths: readonly string[];
}

/** Null where its configuration, a wrangler.toml, names no such paths. */
export function workerFirst(configuration: string): WorkerFirst | null {
  const text = readFileSync(configuration, "utf8");
  const worker = /^name = "([^"]+)"$/m.exec(text)?.[1];
  const list = /^run_worker_first = (\[[^\]]*\])$/m.exec(text)?.[1];
  if (worker === undefined || list === undefined) return null;
  const paths = JSON.parse(list) as readonly string[];
  const unknown = paths.find((path) => !/^\/([^*!]*\/)?\*$|^\/[^*!]*$/.test(path));
  if (unknown !== undefined)
    throw new Error(`${configuration}: run_worker_first must hold paths or '/beginning/*'; it holds "${unknown}".`);
  return { worker, paths };
}
