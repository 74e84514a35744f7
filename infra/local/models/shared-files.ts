/**
 * What several Workers read of the models: `models` in the output has the files, and is all that the session and the grammar Worker have as assets. The
 * gateway's are one folder with the web page, so that it has links to the same files there.
 */
import { linkSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const [home, linked] = ["models", "gateway"] as const;

/**
 * `files`: texts by their path within the folder, the last of which may name those before it. `replaces`: what is taken away first, files and folders.
 * @returns every path that was written, relative to `output`.
 */
export function writeSharedFiles(output: string, files: ReadonlyMap<string, string>, replaces: readonly string[]): string[] {
  for (const folder of [home, linked])
    for (const path of [...replaces, ...files.keys()]) rmSync(join(output, folder, path), { recursive: true, force: true });
  for (const [path, text] of files) {
    const file = join(output, home, path);
    for (const folder of [home, linked]) mkdirSync(dirname(join(output, folder, path)), { recursive: true });
    writeFileSync(file, text);
    linkSync(file, join(output, linked, path));
  }
  return [home, linked].flatMap((folder) => [...files.keys()].map((path) => join(folder, path)));
}
