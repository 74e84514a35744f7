/** A converted model's file: its teacher's, merged with the committed delta and checked against the lock file beside it. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import * as z from "zod";
import { digestFile } from "./digest.ts";
import { mergeDelta } from "../gguf/merge-delta.ts";
import { inRepository, repositoryRoot } from "../paths.ts";

const digest = z.string().regex(/^[0-9a-f]{64}$/);
/** sha256 of the three files, and the size of the merged one in bytes. */
const lockFile = z.strictObject({ deltaSha256: digest, teacherSha256: digest, mergedSha256: digest, mergedBytes: z.int().positive() });
export type DeltaLock = z.infer<typeof lockFile>;

const relock = "`npm run lock:model` writes the lock anew when the delta is meant to have changed";

/** `x.lock.json` for `x.delta.gguf`. */
export function lockPath(deltaPath: string): string {
  return deltaPath.replace(/\.delta\.gguf$/, ".lock.json");
}

export function readLock(deltaPath: string): DeltaLock {
  const path = lockPath(deltaPath);
  if (!existsSync(path)) throw new Error(`${shown(path)} is missing; ${relock}.`);
  const result = lockFile.safeParse(JSON.parse(readFileSync(path, "utf8")));
  if (!result.success) throw new Error(`${shown(path)}: ${z.prettifyError(result.error)}`);
  return result.data;
}

/** Merges and writes the lock. */
export async function writeLock(teacherPath: string, deltaPath: string, merged: string): Promise<DeltaLock> {
  mergeDelta(teacherPath, deltaPath, merged);
  const lock = {
    deltaSha256: await digestFile(deltaPath),
    teacherSha256: await digestFile(teacherPath),
    mergedSha256: await digestFile(merged),
    mergedBytes: statSync(merged).size,
  };
  writeFileSync(lockPath(deltaPath), `${JSON.stringify(lock, null, 2)}\n`);
  return lock;
}

/** The path of the merged file in the cache, made if it is not there as the lock says. A file appears under its name only when it is right. */
export async function mergedModel(id: string, teacherPath: string, delta: string, cache: string): Promise<string> {
  const deltaPath = inRepository(delta);
  const lock = readLock(deltaPath);
  const path = join(cache, `${id}.gguf`);
  if (existsSync(path)) {
    if (statSync(path).size === lock.mergedBytes && (await digestFile(path)) === lock.mergedSha256) return path;
    console.log(`${path} is of another delta; it is made again.`);
  }
  await mustBe(deltaPath, lock.deltaSha256, `git restore ${delta} brings back the committed one, and ${relock}.`);
  console.log(`Merging ${delta} with its teacher …`);
  mkdirSync(cache, { recursive: true });
  const made = `${path}.${String(process.pid)}.tmp`;
  try {
    mergeDelta(teacherPath, deltaPath, made);
    await mustBe(made, lock.mergedSha256, `Nothing was installed; ${relock}.`);
    renameSync(made, path);
  } finally {
    rmSync(made, { force: true });
  }
  return path;
}

async function mustBe(path: string, sha256: string, advice: string): Promise<void> {
  const actual = await digestFile(path);
  if (actual !== sha256) throw new Error(`${shown(path)}: sha256 must be ${sha256}, as locked, and is ${actual}. ${advice}`);
}

function shown(path: string): string {
  return path.startsWith(repositoryRoot) ? relative(repositoryRoot, path) : path;
}
