/** A file inside a package on npm, which npm downloads; nothing of the package is installed or run. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fetchFromArchives, type ArchiveKind, type ArchivePin } from "./archive.ts";
import { run } from "../run.ts";

const packages: ArchiveKind = {
  registry: "npm",
  extraction:
    "import shutil, sys, tarfile\nwith tarfile.open(sys.argv[2]) as t, t.extractfile(sys.argv[3]) as s, open(sys.argv[1], 'wb') as d: shutil.copyfileobj(s, d, 1 << 20)",
  async download(requirement, directory, archive) {
    const { status } = await run("npm", ["pack", requirement, "--ignore-scripts", "--loglevel=error", "--pack-destination", directory]);
    if (status === 0 && existsSync(join(directory, archive))) return;
    throw new Error(`npm could not download ${requirement} (its message is above). Check the network, then run the same command again.`);
  },
};

/** The path of the package's file in the cache, under this name, downloaded if it is not there. */
export async function fetchFromPackage(pin: ArchivePin & { readonly sha256: string }, name: string, cache: string): Promise<string> {
  return await fetchFromArchives([pin], { name, sha256: pin.sha256 }, cache, packages);
}
