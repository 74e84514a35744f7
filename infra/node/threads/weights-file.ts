/** A model's file on its way into the engine, chunk by chunk. */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";

const chunkBytes = 1 << 20;

export interface FileReading {
  /** Called with the bytes read so far. */
  readonly onProgress?: (read: number) => void;
  /** What the file must be, hex; not checked where it is left out. */
  readonly sha256?: string;
}

export async function pushFile(path: string, loader: { push(chunk: Uint8Array): void }, reading: FileReading = {}): Promise<void> {
  const { onProgress, sha256 } = reading;
  const hash: Hash | undefined = sha256 === undefined ? undefined : createHash("sha256");
  let read = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes })) {
    hash?.update(chunk as Buffer);
    loader.push(chunk as Buffer);
    read += (chunk as Buffer).length;
    onProgress?.(read);
  }
  const found = hash?.digest("hex");
  if (found !== sha256) throw new Error(`"${path}" must have sha256 ${String(sha256)}; it has ${String(found)}.`);
}
