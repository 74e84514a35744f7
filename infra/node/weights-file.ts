/** A model's file on its way into the engine: the ranges of bytes that the engine needs, chunk by chunk. */
import { readSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";

/** Bytes that are read at once where only a part of each matrix is needed: what is read beyond that is read in vain. Else the loader's room is filled. */
export const partChunkBytes = 1 << 16;
/** What is read before whatever else waits in this thread goes on. */
const pauseBytes = 1 << 23;

/** What of the engine's loader takes a file. */
export interface FileLoader {
  room(): Uint8Array;
  pushRoom(bytes: number): void;
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
  const { onProgress, version, chunkBytes = Infinity } = reading;
  const file = await open(path);
  try {
    const found = await versionOfOpen(file);
    requireVersion(path, found, version);
    let [read, pauses] = [0, 0];
    for (let at = 0; at < found.bytes;) {
      const needed = Math.min(loader.neededFrom(), found.bytes);
      // What is left behind the last tensor is pushed where it is short, so that the loader sees a file that is too long.
      if (needed > at && (needed < found.bytes || found.bytes - at > loader.room().byteLength)) {
        loader.skip(needed - at);
        at = needed;
      } else {
        // Here and now: another thread would hand over what this one's cache is to hold, and the engine computes without a pause all the same.
        const room = loader.room();
        const bytesRead = readSync(file.fd, room, 0, Math.min(room.byteLength, chunkBytes), at);
        if (bytesRead === 0) throw changed(path);
        loader.pushRoom(bytesRead);
        read += bytesRead;
        at += bytesRead;
        if (read >= (pauses + 1) * pauseBytes) {
          pauses += 1;
          await setImmediate();
        }
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
