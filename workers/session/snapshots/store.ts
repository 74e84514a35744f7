/** A tenant's snapshot store over the object's storage. */
import type { Outcome } from "../../contracts/outcome.ts";
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import type { LogEvent } from "../../observe/events.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import { internalError } from "../failures.ts";
import { isBrokenFile } from "../storage/broken.ts";
import { snapshotInvalid } from "../../state-file/failures.ts";
import { pageTokens } from "../../state-file/page.ts";
import type { Collection } from "./index/collection.ts";
import type {
  Candidate,
  Findings,
  ModelIdentity,
  OpenedSnapshot,
  PutOrder,
  SnapshotStore,
  StoredSnapshot,
  TokenChain,
} from "./contract.ts";
import { ServiceUnreachable } from "./tiers/deadline.ts";
import type { Eviction } from "./tiers/eviction.ts";
import { chunkStream } from "./seal/chunk-stream.ts";
import type { Found } from "./index/prefix-index.ts";
import { BlobBroken, SealBroken, type Sealer } from "./seal/seal.ts";
import { readSnapshot, type ReadableSnapshot } from "./snapshot-reader.ts";
import type { NearCopying } from "./tiers/near-copying.ts";
import type { Snapshot } from "./index/snapshot-rows.ts";
import { writeSnapshot } from "./write-snapshot.ts";
import type { TenantKeys } from "./seal/tenant-keys.ts";

export interface StoreDependencies {
  readonly storage: DurableObjectStorage;
  readonly collection: Collection;
  readonly eviction: Eviction;
  readonly keys: TenantKeys;
  readonly sealer: Sealer;
  readonly r2: () => R2Bucket;
  readonly nearCopying: NearCopying;
  /** Something has changed after the call that led to it was answered. */
  readonly onChange: () => void;
}

export class Store implements SnapshotStore {
  readonly #dependencies: StoreDependencies;

  constructor(dependencies: StoreDependencies) {
    this.#dependencies = dependencies;
  }

  find(identity: ModelIdentity, chain: TokenChain): Promise<Findings> {
    const { collection, storage } = this.#dependencies;
    const now = Date.now();
    collection.expire(now);
    const found = collection.index
      .find(chain)
      .filter(({ snapshot }) => snapshot.identity.model === identity.model && snapshot.identity.tokenizer === identity.tokenizer);
    const covered = Math.max(0, ...found.map((one) => coveredTokens(one, chain)));
    const worthSaving = storage.transactionSync(() => collection.demand.note(chain, covered, now));
    return Promise.resolve({ candidates: found.map((one) => this.#candidate(one, now)), worthSaving });
  }

  async open(id: string, keep: number, fromPage = 0): Promise<Outcome<OpenedSnapshot>> {
    const { collection } = this.#dependencies;
    const now = Date.now();
    collection.expire(now);
    const snapshot = collection.rows.finished(id);
    if (snapshot === undefined) return { ok: false, failure: noSnapshot() };
    const tier = collection.tier(snapshot, now);
    const end = collection.beginReading(snapshot.key);
    try {
      const { tokens, chunks } = await readSnapshot({ ...this.#dependencies, r2: this.#dependencies.r2() }, snapshot, keep, fromPage);
      this.#touch(snapshot, now);
      return { ok: true, value: { tokens, tier, bytes: this.#stream(snapshot, chunks, end) } };
    } catch (cause) {
      end();
      return { ok: false, failure: this.#failed(snapshot, cause) };
    }
  }

  async put(order: PutOrder, bytes: ReadableStream<Uint8Array>): Promise<Outcome<StoredSnapshot>> {
    try {
      this.#dependencies.collection.expire(Date.now());
      return { ok: true, value: await writeSnapshot(this.#dependencies, order, bytes) };
    } catch (cause) {
      return { ok: false, failure: failureOf(cause, "snapshot_not_written") };
    }
  }

  keep(id: string, owner: string, expires: number): Promise<Outcome<null>> {
    const { collection } = this.#dependencies;
    collection.expire(Date.now());
    const snapshot = collection.rows.finished(id);
    if (snapshot === undefined) return Promise.resolve({ ok: false, failure: noSnapshot() });
    collection.owners.add(snapshot.key, owner, expires);
    return Promise.resolve({ ok: true, value: null });
  }

  release(ownerPrefix: string): Promise<void> {
    const { collection, storage } = this.#dependencies;
    storage.transactionSync(() => {
      collection.letGo(collection.owners.release(ownerPrefix), Date.now());
    });
    return Promise.resolve();
  }

  facts(id: string): ReturnType<SnapshotStore["facts"]> {
    const { collection } = this.#dependencies;
    const now = Date.now();
    collection.expire(now);
    const snapshot = collection.rows.finished(id);
    if (snapshot === undefined) return Promise.resolve(null);
    return Promise.resolve({
      tier: collection.tier(snapshot, now),
      fileBytes: snapshot.fileBytes,
      ownBytes: collection.ownBytes(snapshot),
    });
  }

  /** A copy of it was read elsewhere. */
  opened(id: string): Promise<void> {
    const snapshot = this.#dependencies.collection.rows.finished(id);
    if (snapshot !== undefined) this.#touch(snapshot, Date.now());
    return Promise.resolve();
  }

  #touch(snapshot: Snapshot, now: number): void {
    const { collection, eviction, nearCopying } = this.#dependencies;
    collection.rows.touch(snapshot.key, now, 1);
    collection.owners.renew(snapshot.key, now);
    eviction.rate(snapshot);
    if (!collection.owners.keeps(snapshot.key)) nearCopying.consider({ ...snapshot, opens: snapshot.opens + 1 }, now);
  }

  #candidate({ snapshot, commonPages }: Found, now: number): Candidate {
    const { id, tokens, cuttable, tail } = snapshot;
    return { id, tokens, commonPages, tail: tail ?? "", cuttable, tier: this.#dependencies.collection.tier(snapshot, now) };
  }

  #stream(snapshot: Snapshot, chunks: ReadableSnapshot["chunks"], end: () => void): ReadableStream<Uint8Array> {
    return chunkStream(chunks, {
      onOver: end,
      onEnd: () => {
        this.#dependencies.collection.unpack(snapshot.key);
        this.#dependencies.onChange();
      },
      onBreak: (cause) => {
        // Too late to begin the file anew under a reader; the next call does.
        const { message } = isBrokenFile(cause) ? noSnapshot() : this.#failed(snapshot, cause);
        this.#dependencies.onChange();
        return message;
      },
    });
  }

  /** What is not valid is dropped, with all that has the same blobs; a service that does not answer may still have it. */
  #failed(snapshot: Snapshot, cause: unknown): ServiceFailure {
    if (cause instanceof ServiceError) return cause.failure;
    if (cause instanceof ServiceUnreachable) return snapshotInvalid(`snapshot: it cannot be reached: ${cause.message}`);
    if (!(cause instanceof SealBroken)) return failureOf(cause, "snapshot_not_read");
    logLine("error", "snapshot_broken", { cause: cause.message });
    this.#dependencies.collection.removeBroken(snapshot.key, cause instanceof BlobBroken ? cause.blob : undefined);
    return snapshotInvalid(`snapshot: it is not valid: ${cause.message}`);
  }
}

/** Of the text, what a snapshot is likely to spare reading: only whoever has the tokens can tell whether they are its own to the end. */
function coveredTokens({ snapshot: { tokens, cuttable }, commonPages }: Found, chain: TokenChain): number {
  const common = commonPages * pageTokens;
  if (Math.floor(tokens / pageTokens) === commonPages && tokens <= chain.tokens) return tokens;
  return cuttable ? common : 0;
}

export const noSnapshot = () => snapshotInvalid("snapshot: there is none with this id");

/** @throws the cause, where the tenant's object begins its file anew. */
function failureOf(cause: unknown, event: LogEvent): ServiceFailure {
  if (cause instanceof ServiceError) return cause.failure;
  if (isBrokenFile(cause)) throw cause;
  logLine("error", event, { cause: describeCause(cause) });
  return internalError("The store of states failed.");
}
