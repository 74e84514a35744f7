/**
 * The tenant's store as the rest of the session Worker uses it: everything is asked of the tenant's object, but a state that has a copy in KV is
 * read from there, near to whoever asks. A copy that is gone, late or wrong costs the time of asking the object.
 */
import type { Outcome } from "../../../contracts/outcome.ts";
import { describeCause, logLine } from "../../../observe/log-line.ts";
import type { SessionEnvironment } from "../../environment.ts";
import type { Findings, ModelIdentity, OpenedSnapshot, PutOrder, SnapshotStore, StoredSnapshot, TokenChain } from "../contract.ts";
import { answerOf } from "./deadline.ts";
import { chunkStream } from "../seal/chunk-stream.ts";
import { Sealer } from "../seal/seal.ts";
import { cutFile, openFile, type NearFile } from "./near-file.ts";
import { nearName } from "./near-copying.ts";
import { TenantKeys } from "../seal/tenant-keys.ts";

/** Seconds that an edge may keep a copy: what it holds never changes. */
const edgeSeconds = 3_600;

type Needs = Pick<SessionEnvironment, "TENANT_OBJECT" | "PREFIXES" | "STATE_KEYS">;
interface TenantSurface extends SnapshotStore {
  opened(id: string): Promise<void>;
}

/** For the length of one request or generation: it remembers which copies it has heard of. */
export function tenantStore(environment: Needs, tenant: string): SnapshotStore {
  return new NearStore(environment, tenant);
}

class NearStore implements SnapshotStore {
  readonly #environment: Needs;
  readonly #tenant: string;
  readonly #object: TenantSurface;
  readonly #files = new Map<string, NearFile>();

  constructor(environment: Needs, tenant: string) {
    this.#environment = environment;
    this.#tenant = tenant;
    this.#object = environment.TENANT_OBJECT.getByName(tenant);
  }

  async find(identity: ModelIdentity, chain: TokenChain): Promise<Findings> {
    const findings = await this.#object.find(identity, chain);
    for (const { id, tokens, tier } of findings.candidates) if (tier === "near") this.#files.set(id, { id, identity, tokens });
    return findings;
  }

  async open(id: string, keep: number, fromPage = 0): Promise<Outcome<OpenedSnapshot>> {
    // A copy is a whole file.
    const file = fromPage === 0 ? this.#files.get(id) : undefined;
    if (file === undefined) return await this.#object.open(id, keep, fromPage);
    try {
      return { ok: true, value: await this.#openCopy(file, Math.min(keep, file.tokens)) };
    } catch (cause) {
      logLine("error", "snapshot_copy_not_read", { cause: describeCause(cause) });
      return await this.#object.open(id, keep, fromPage);
    }
  }

  put(order: PutOrder, bytes: ReadableStream<Uint8Array>): Promise<Outcome<StoredSnapshot>> {
    return this.#object.put(order, bytes);
  }

  keep(id: string, owner: string, expires: number): Promise<Outcome<null>> {
    return this.#object.keep(id, owner, expires);
  }

  release(ownerPrefix: string): Promise<void> {
    return this.#object.release(ownerPrefix);
  }

  facts(id: string): ReturnType<SnapshotStore["facts"]> {
    return this.#object.facts(id);
  }

  /** Its first chunk has been read and is valid. */
  async #openCopy(file: NearFile, tokens: number): Promise<OpenedSnapshot> {
    const { PREFIXES, STATE_KEYS } = this.#environment;
    const sealer = new Sealer(new TenantKeys(STATE_KEYS, this.#tenant), this.#tenant);
    const name = nearName(this.#tenant, file.id);
    const sealed = await answerOf<ReadableStream<Uint8Array> | null>("KV", PREFIXES.get(name, { type: "stream", cacheTtl: edgeSeconds }));
    if (sealed === null) throw new Error("the copy is gone");
    const whole = openFile(sealer, file, sealed);
    const chunks = tokens < file.tokens ? cutFile(chunkStream(whole), tokens) : whole;
    const first = await answerOf("KV", chunks.next());
    if (first.done === true) throw new Error("the copy is empty");
    // How often it is opened decides how long it stays; an object that does not hear of it drops it sooner.
    void this.#object.opened(file.id).catch(() => undefined);
    return { tokens, tier: "near", bytes: chunkStream(following(first.value, chunks)) };
  }
}

async function* following(
  first: Uint8Array,
  rest: AsyncGenerator<Uint8Array, void, undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield first;
  yield* rest;
}
