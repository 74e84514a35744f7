import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";

/** sha256 of a file, hex. `onProgress` is called with the bytes read so far and in all. */
export async function digestFile(path: string, onProgress?: (read: number, total: number) => void): Promise<string> {
  const hash = createHash("sha256");
  const total = onProgress === undefined ? 0 : statSync(path).size;
  let read = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Buffer);
    read += (chunk as Buffer).length;
    onProgress?.(read, total);
  }
  return hash.digest("hex");
}
