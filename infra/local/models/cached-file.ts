/** A file of the cache that is pinned by its digest: it has its name only when it is right. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { digestFile } from "./digest.ts";

export interface PinnedFile {
  /** In the cache. */
  readonly name: string;
  /** sha256, hex. */
  readonly sha256: string;
}

/** Its path; `make` writes it to the path that it is given where it is not there, or is another one. */
export async function cachedFile({ name, sha256 }: PinnedFile, cache: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = join(cache, name);
  if (existsSync(path)) {
    if ((await digestFile(path)) === sha256) return path;
    console.log(`${path} does not have its expected sha256; it is fetched again.`);
    rmSync(path);
  }
  mkdirSync(cache, { recursive: true });
  const made = `${path}.${String(process.pid)}.tmp`;
  try {
    await make(made);
    await mustMatch(made, name, sha256);
    renameSync(made, path);
  } finally {
    rmSync(made, { force: true });
  }
  return path;
}

export async function mustMatch(path: string, name: string, sha256: string): Promise<void> {
  const actual = await digestFile(path);
  if (actual !== sha256)
    throw new Error(`${name}: sha256 must be ${sha256} and is ${actual}. The download is not what was pinned; nothing was installed.`);
}
