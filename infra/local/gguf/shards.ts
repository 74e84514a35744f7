import { createHash } from "node:crypto";
import { createWriteStream, mkdirSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { once } from "node:events";
import type { ModelShard } from "../../../workers/contracts/model-files.ts";

/** Workers static assets may have 25 MiB each. */
export const shardBytes = 24 * 1024 * 1024;
const chunkBytes = 1024 * 1024;

export interface ShardedFile {
  readonly bytes: number;
  /** sha256 of the whole file, hex. */
  readonly sha256: string;
  readonly shards: readonly ModelShard[];
}

/** Cuts a file into `shard-000.bin`, … in a directory, one chunk in memory at a time. */
export async function writeShards(path: string, directory: string, size = shardBytes): Promise<ShardedFile> {
  mkdirSync(directory, { recursive: true });
  const whole = createHash("sha256");
  const shards: ModelShard[] = [];
  const source = await open(path);
  try {
    const { size: bytes } = await source.stat();
    const buffer = Buffer.alloc(Math.min(chunkBytes, size));
    for (let offset = 0; offset < bytes; offset += size) {
      const file = `shard-${String(shards.length).padStart(3, "0")}.bin`;
      const shardEnd = Math.min(offset + size, bytes);
      const hash = createHash("sha256");
      const target = createWriteStream(join(directory, file));
      let position = offset;
      while (position < shardEnd) {
        const { bytesRead } = await source.read(buffer, 0, Math.min(buffer.length, shardEnd - position), position);
        if (bytesRead === 0)
          throw new Error(`${path} became shorter while it was read: ${String(bytes)} bytes at first, ${String(position)} now.`);
        const chunk = Buffer.from(buffer.subarray(0, bytesRead));
        hash.update(chunk);
        whole.update(chunk);
        if (!target.write(chunk)) await once(target, "drain");
        position += bytesRead;
      }
      target.end();
      await once(target, "finish");
      shards.push({ file, bytes: shardEnd - offset, sha256: hash.digest("hex") });
    }
    return { bytes, sha256: whole.digest("hex"), shards };
  } finally {
    await source.close();
  }
}
