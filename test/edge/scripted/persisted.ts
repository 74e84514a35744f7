/** What the objects of a stack have left on the disk. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Every file below a folder; some may be gone again. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Files that hold these bytes, of a database and its write-ahead log alike. */
export function filesWith(folder: string, bytes: Buffer): string[] {
  return filesBelow(folder).filter((file) => {
    try {
      return readFileSync(file).includes(bytes);
    } catch (cause) {
      // A database that was closed just now has no log any more.
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw cause;
    }
  });
}
