/**
 * Writes one state file into the store as it comes: its head, and its pages from `fromPage` on. Until it is finished no one finds it, and if it
 * breaks nothing of it is left.
 */
import { ServiceError } from "../../contracts/errors.ts";
import { describeCause, logLine } from "../../logging/log-line.ts";
import { invalidRequest, snapshotInvalid } from "../failures.ts";
import { ByteReader } from "./byte-reader.ts";
import { DIGEST_BYTES, PAGE_TOKENS } from "./chain.ts";
import type { Collection } from "./collection.ts";
import type { PutOrder, StoredSnapshot, TokenChain } from "./contract.ts";
import type { Eviction } from "./eviction.ts";
import { randomId } from "./hex.ts";
import { pageName } from "./page-names.ts";
import { headContext, pageContext } from "./piece-context.ts";
import { nodeOf } from "./prefix-index.ts";
import { prove } from "./proof.ts";
import { PIECE_BYTES, pieceCount, sealedBytes, type PieceContext, type Sealer } from "./seal.ts";
import { HEAD_GROUP, type Part, type Snapshot } from "./snapshot-rows.ts";
import { layoutOf, readHeader, type StateHeader } from "./state-header.ts";
import { contains, countOf, fileBytes, isCuttable, pagesOf, takeRows, type PageRows } from "./state-layout.ts";
import { supersede, type Superseded } from "./supersede.ts";
import type { TenantKeys } from "./tenant-keys.ts";

export interface WriterParts {
  readonly storage: DurableObjectStorage;
  readonly collection: Collection;
  readonly eviction: Eviction;
  readonly keys: TenantKeys;
  readonly sealer: Sealer;
}

/** @throws ServiceError, or what the stream or the storage throws. */
export async function writeSnapshot(parts: WriterParts, order: PutOrder, bytes: ReadableStream<Uint8Array>): Promise<StoredSnapshot> {
  const reader = new ByteReader(bytes);
  let writer: SnapshotWriter | undefined;
  try {
    checkOrder(order);
    const header = await readHeader(reader);
    checkHeader(order, header);
    writer = new SnapshotWriter(parts, order, header);
    await writer.read(reader);
    if (!(await reader.ended())) throw new ServiceError(snapshotInvalid("state file: more follows than its header tells of"));
    return await writer.finish();
  } catch (cause) {
    writer?.giveUp();
    await reader.cancel(cause);
    if (cause instanceof RangeError) throw new ServiceError(snapshotInvalid(`state file: ${cause.message}`), { cause });
    throw cause;
  }
}

class SnapshotWriter {
  readonly #parts: WriterParts;
  readonly #order: PutOrder;
  readonly #header: StateHeader;
  readonly #layout: string;
  readonly #id = randomId();
  readonly #key: number;
  readonly #parent: ReadonlyMap<string, number>;
  readonly #superseded: Superseded[] = [];
  #written = 0;

  constructor(parts: WriterParts, order: PutOrder, header: StateHeader) {
    const { storage, collection, eviction } = parts;
    this.#parts = parts;
    this.#order = order;
    this.#header = header;
    this.#layout = layoutOf(header);
    eviction.check(fileBytes(header));
    const parent = this.#findParent();
    this.#parent = new Map((parent === undefined ? [] : collection.rows.parts(parent.key)).map((part) => [placeOf(part), part.blob]));
    this.#key = storage.transactionSync(() => this.#begin());
  }

  async read(reader: ByteReader): Promise<void> {
    await this.#readHead(reader);
    for (const [group, { tokenBytes }] of this.#header.groups.entries())
      for (const rows of this.#pages(group, this.#order.fromPage))
        await this.#addPage(group, rows, await reader.exact(countOf(rows.mask) * tokenBytes));
  }

  async finish(): Promise<StoredSnapshot> {
    const { storage, collection, sealer } = this.#parts;
    const { tokens, chain, identity } = this.#order;
    const node = chain === null ? null : lastNode(chain);
    const tail = chain?.tail ?? null;
    const parts = collection.rows.parts(this.#key);
    const proof = await prove(sealer, collection.shelf, { id: this.#id, identity, tokens, node, tail }, parts);
    const id = storage.transactionSync(() => this.#commit(proof, node, tail));
    await supersede(this.#parts, this.#superseded);
    return { id, tokens, writtenBytes: this.#written, fileBytes: fileBytes(this.#header) };
  }

  /** What storage does not delete now, the object deletes when it starts again. */
  giveUp(): void {
    try {
      this.#parts.collection.remove(this.#key);
    } catch (cause) {
      logLine("error", "snapshot_not_removed", { cause: describeCause(cause) });
    }
  }

  /** With the pages that it shares with its parent, so that they stay. */
  #begin(): number {
    const { rows } = this.#parts.collection;
    const { identity, tokens, fromPage } = this.#order;
    const header = this.#header;
    const facts = { identity, tokens, layout: this.#layout, cuttable: isCuttable(header), fileBytes: fileBytes(header) };
    const key = rows.add({ id: this.#id, ...facts, used: Date.now() });
    for (const group of header.groups.keys())
      for (const { page, mask } of this.#pages(group, 0)) {
        if (page >= fromPage) break;
        const blob = this.#parentBlob(group, page);
        if (blob === undefined || !contains(blob.mask, mask))
          throw new ServiceError(
            invalidRequest(`parent: it must hold page ${String(page)} of group ${String(group)}; it does not`, "parent"),
          );
        rows.setPart(key, { group, page, blob: blob.key });
      }
    return key;
  }

  async #readHead(reader: ByteReader): Promise<void> {
    const { collection, storage } = this.#parts;
    const { identity, tokens } = this.#order;
    const bytes = this.#header.bytes.length + this.#header.headBytes;
    const name = randomId();
    const blob = storage.transactionSync(() => {
      const key = collection.shelf.add(name, 0, bytes);
      this.#setPart({ group: HEAD_GROUP, page: 0, blob: key });
      return key;
    });
    const context = headContext(name, identity, tokens, bytes);
    for (let number = 0; number < context.count; number++) {
      const length = Math.min(PIECE_BYTES, bytes - number * PIECE_BYTES);
      const known = number === 0 ? this.#header.bytes : new Uint8Array();
      const plain = new Uint8Array(length);
      plain.set(known);
      plain.set(await reader.exact(length - known.length), known.length);
      const sealed = await this.#parts.sealer.seal(plain, { ...context, number });
      this.#assertWanted();
      collection.shelf.putPiece(blob, number, sealed);
    }
    this.#written += sealedBytes(bytes);
  }

  async #addPage(group: number, { page, mask }: PageRows, rows: Uint8Array): Promise<void> {
    const { storage, collection } = this.#parts;
    const name = await this.#nameOf(group, { page, mask }, rows);
    const sealed =
      collection.shelf.named(name) === undefined ? await this.#seal({ name, mask, bytes: rows.length }, group, page, rows) : [];
    const blob = storage.transactionSync(() => {
      this.#assertWanted();
      const known = collection.shelf.named(name);
      const key = known?.key ?? this.#addBlob(name, mask, rows.length, sealed);
      if (key !== undefined) this.#setPart({ group, page, blob: key });
      return key;
    });
    // The one that was there has gone while this one was named.
    if (blob === undefined) await this.#addPage(group, { page, mask }, rows);
    else await this.#compareWithParent(group, { page, mask }, rows, blob);
  }

  #addBlob(name: string, mask: number, bytes: number, sealed: readonly Uint8Array[]): number | undefined {
    if (sealed.length === 0) return undefined;
    const { shelf } = this.#parts.collection;
    const key = shelf.add(name, mask, bytes);
    for (const [number, piece] of sealed.entries()) shelf.putPiece(key, number, piece);
    this.#written += sealedBytes(bytes);
    return key;
  }

  async #seal(blob: { name: string; mask: number; bytes: number }, group: number, page: number, rows: Uint8Array): Promise<Uint8Array[]> {
    const context: Omit<PieceContext, "number"> = pageContext(blob, this.#order.identity, group, page);
    const sealed: Uint8Array[] = [];
    for (let number = 0; number < pieceCount(rows.length); number++) {
      const plain = rows.subarray(number * PIECE_BYTES, (number + 1) * PIECE_BYTES);
      sealed.push(await this.#parts.sealer.seal(plain, { ...context, number }));
    }
    return sealed;
  }

  /** A page that the parent held a part of: where this one begins with the same rows, it can stand for both. */
  async #compareWithParent(group: number, { page, mask }: PageRows, rows: Uint8Array, blob: number): Promise<void> {
    const older = this.#parentBlob(group, page);
    if (older === undefined || older.key === blob || !contains(mask, older.mask)) return;
    const tokenBytes = rows.length / countOf(mask);
    const same = await this.#nameOf(group, { page, mask: older.mask }, takeRows(rows, mask, older.mask, tokenBytes));
    if (same === older.name) this.#superseded.push({ group, page, older: older.key, newer: blob });
  }

  /** The snapshot is there from now on; or the one that has read the same tokens already is what it is. */
  #commit(proof: Uint8Array, node: string | null, tail: string | null): string {
    const { collection, eviction } = this.#parts;
    const { rows, index, owners } = collection;
    const { chain, owner, expires } = this.#order;
    const now = Date.now();
    this.#assertWanted();
    const same = chain === null || node === null ? undefined : index.same(chain, node);
    const kept = same ?? { key: this.#key, id: this.#id, tokens: this.#order.tokens, fileBytes: fileBytes(this.#header) };
    if (same === undefined) {
      rows.finish(this.#key, proof, node, tail);
      if (chain !== null && isCuttable(this.#header)) index.add(chain);
    } else collection.remove(this.#key);
    if (owner !== null) owners.add(kept.key, owner, expires);
    owners.renew(kept.key, now);
    rows.touch(kept.key, now, 0);
    eviction.rate(kept);
    eviction.makeRoom(kept.key);
    return kept.id;
  }

  #findParent(): Snapshot | undefined {
    const { parent, fromPage, identity } = this.#order;
    if (parent === null) return undefined;
    const found = this.#parts.collection.rows.finished(parent);
    const fits =
      found?.layout === this.#layout && found.identity.model === identity.model && found.identity.tokenizer === identity.tokenizer;
    if (!fits && fromPage > 0)
      throw new ServiceError(
        snapshotInvalid(`parent: it must be a snapshot of the same model; ${found === undefined ? "it is gone" : "it is not"}`),
      );
    return fits ? found : undefined;
  }

  #parentBlob(group: number, page: number) {
    const key = this.#parent.get(placeOf({ group, page }));
    return key === undefined ? undefined : this.#parts.collection.shelf.get(key);
  }

  #pages(group: number, fromPage: number): Iterable<PageRows> {
    const shape = this.#header.groups[group];
    return shape === undefined ? [] : pagesOf(this.#header, shape, fromPage);
  }

  async #nameOf(group: number, { page, mask }: PageRows, rows: Uint8Array): Promise<string> {
    const { identity } = this.#order;
    return await pageName(this.#parts.keys, { identity, layout: this.#layout, group, page, mask }, rows);
  }

  #setPart(part: Part): void {
    this.#parts.collection.rows.setPart(this.#key, part);
  }

  /** @throws ServiceError where all that the tenant has was deleted meanwhile. */
  #assertWanted(): void {
    if (this.#parts.collection.rows.get(this.#key) === undefined)
      throw new ServiceError(snapshotInvalid("it was deleted while it was written"));
  }
}

function checkOrder({ tokens, parent, fromPage, chain }: PutOrder): void {
  const require = (param: string, holds: boolean, rule: string, value: unknown) => {
    if (!holds) throw new ServiceError(invalidRequest(`${param}: it must be ${rule}; it is ${String(value)}`, param));
  };
  require("tokens", Number.isSafeInteger(tokens) && tokens > 0, "an integer above 0", tokens);
  const mostPages = parent === null ? 0 : Math.floor(tokens / PAGE_TOKENS);
  require("fromPage", Number.isSafeInteger(fromPage) &&
    fromPage >= 0 &&
    fromPage <= mostPages, `an integer from 0 to ${String(mostPages)}`, fromPage);
  if (chain === null) return;
  require("chain.tokens", chain.tokens === tokens, String(tokens), chain.tokens);
  const length = DIGEST_BYTES * Math.floor(tokens / PAGE_TOKENS);
  require("chain.pages", chain.pages.length === length, `${String(length)} bytes`, chain.pages.length);
}

function checkHeader({ identity, tokens }: PutOrder, { model, tokenizer, position, learnedSinks }: StateHeader): void {
  for (const [what, actual, wanted] of [
    ["model", model, identity.model],
    ["tokenizer", tokenizer, identity.tokenizer],
    ["number of tokens", position - learnedSinks, tokens],
  ] as const)
    if (actual !== wanted)
      throw new ServiceError(snapshotInvalid(`state file: its ${what} must be ${String(wanted)}; it is ${String(actual)}`));
}

const lastNode = (chain: TokenChain) => nodeOf(chain, chain.pages.length / DIGEST_BYTES - 1);

const placeOf = ({ group, page }: Pick<Part, "group" | "page">) => `${String(group)}:${String(page)}`;
