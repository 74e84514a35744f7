/** Copies cached snapshots that are opened often to KV, from where they are read near every edge. */
import { describeCause, logLine } from "../../../observe/log-line.ts";
import type { Collection } from "../index/collection.ts";
import type { Eviction } from "./eviction.ts";
import { chunkStream } from "../seal/chunk-stream.ts";
import type { Sealer } from "../seal/seal.ts";
import { sealFile, sharedBytes } from "./near-file.ts";
import { readSnapshot } from "../snapshot-reader.ts";
import type { Snapshot } from "../index/snapshot-rows.ts";
import { upload } from "./upload.ts";

const opensBeforeCopy = 3;
/** What a value in KV may hold. */
const mostBytes = 25 * (1 << 20);
const lifeSeconds = 86_400;

export interface NearCopyingDependencies {
  readonly collection: Collection;
  readonly eviction: Eviction;
  readonly sealer: Sealer;
  readonly r2: () => R2Bucket;
  readonly kv: () => KVNamespace;
  readonly tenant: string;
  readonly waitUntil: (work: Promise<void>) => void;
}

export const nearName = (tenant: string, id: string) => `${tenant}/${id}`;

export class NearCopying {
  readonly #dependencies: NearCopyingDependencies;

  constructor(dependencies: NearCopyingDependencies) {
    this.#dependencies = dependencies;
  }

  /** A cached snapshot was opened; copies it where it pays. */
  consider(snapshot: Snapshot, now: number): void {
    const { collection, eviction, waitUntil } = this.#dependencies;
    const bytes = sharedBytes(snapshot.fileBytes);
    if (snapshot.opens < opensBeforeCopy || bytes > mostBytes || collection.copies.isKnown(snapshot.key) || !eviction.hasRoom(bytes))
      return;
    waitUntil(
      this.#copy(snapshot, now).catch((cause: unknown) => {
        logLine("error", "snapshot_not_shared", { cause: describeCause(cause) });
      }),
    );
  }

  /** @throws ServiceUnreachable, or what reading throws; then there is no copy. */
  async #copy(snapshot: Snapshot, now: number): Promise<void> {
    const { collection, sealer, kv, r2, tenant } = this.#dependencies;
    const { key, id, identity, tokens, fileBytes } = snapshot;
    const name = nearName(tenant, id);
    collection.copies.begin(key, name, sharedBytes(fileBytes), now + lifeSeconds * 1_000);
    const end = collection.beginReading(key);
    try {
      const { chunks } = await readSnapshot({ collection, sealer, r2: r2() }, snapshot, tokens);
      const sealed = sealFile(sealer, { id, identity, tokens }, fileBytes, chunkStream(chunks));
      const put = (value: ReadableStream<Uint8Array>) => kv().put(name, value, { expirationTtl: lifeSeconds });
      await upload({ service: "KV", bytes: sharedBytes(fileBytes), chunks: sealed, put });
      collection.copies.stored(name);
    } catch (cause) {
      collection.copies.remove(key);
      throw cause;
    } finally {
      end();
    }
  }
}
