/** A model's file on its way into the engine: the ranges of bytes that the engine needs, chunk by chunk. */
import { open, type FileHandle } from "node:fs/promises";

/** Bytes that are read at once. */
const wholeChunkBytes = 1 << 20;
/** The same where only a part of each matrix is needed: what is read beyond that is read in vain. */
export const partChunkBytes = 1 << 16;

/** What of the engine's loader takes a file. */
export interface FileLoader {
  push(chunk: Uint8Array): void;
  neededFrom(): number;
  skip(bytes: number): void;
}

/** What a file is known by while nobody writes it. */
export interface FileVersion {
  readonly bytes: number;
  /** Device, inode, size and time of the last change. */
  readonly stamp: string;
}

export interface FileReading {
  /** Called with how far into the file the loader has come. */
  readonly onProgress?: (done: number) => void;
  /** What the file must be, before and after it is read; not checked where it is left out. */
  readonly version?: FileVersion;
  readonly chunkBytes?: number;
}

/** Of a file that is there. */
export async function versionOf(path: string): Promise<FileVersion> {
  const file = await open(path);
  try {
    return await versionOfOpen(file);
  } finally {
    await file.close();
  }
}

async function versionOfOpen(file: FileHandle): Promise<FileVersion> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
  return { bytes: Number(size), stamp: [dev, ino, size, mtimeNs, ctimeNs].join(" ") };
}

/** Returns how many bytes were read. */
export async function pushFile(path: string, loader: FileLoader, reading: FileReading = {}): Promise<number> {
  const { onProgress, version, chunkBytes = wholeChunkBytes } = reading;
  const file = await open(path);
  try {
    const found = await versionOfOpen(file);
    requireVersion(path, found, version);
    // One for all chunks, as the engine copies what it takes: fresh memory costs as much as the reading.
    const buffer = new Uint8Array(chunkBytes);
    let read = 0;
    for (let at = 0; at < found.bytes;) {
      const needed = Math.min(loader.neededFrom(), found.bytes);
      // What is left behind the last tensor is pushed where it is short, so that the loader sees a file that is too long.
      if (needed > at && (needed < found.bytes || found.bytes - at > chunkBytes)) {
        loader.skip(needed - at);
        at = needed;
      } else {
        const { bytesRead } = await file.read(buffer, 0, chunkBytes, at);
        if (bytesRead === 0) throw changed(path);
        loader.push(buffer.subarray(0, bytesRead));
        read += bytesRead;
        at += bytesRead;
      }
      onProgress?.(at);
    }
    requireVersion(path, await versionOfOpen(file), version);
    return read;
  } finally {
    await file.close();
  }
}

function requireVersion(path: string, found: FileVersion, due: FileVersion | undefined): void {
  if (due !== undefined && found.stamp !== due.stamp) throw changed(path);
}

const changed = (path: string): Error => new Error(`"${path}" was changed while it was loaded; load it again.`);
