/** One snapshot that is being written: until it is finished no one finds it, and where it is given up nothing of it is left. */
import { describeCause, logLine } from "../../observe/log-line.ts";
import { BlobWriter, type BlobWriterDependencies } from "./blobs/blob-writer.ts";
import type { ByteReader } from "../../state-file/byte-reader.ts";
import { digestBytes } from "./index/chain.ts";
import type { PutOrder, StoredSnapshot } from "./contract.ts";
import type { Eviction } from "./tiers/eviction.ts";
import { randomHex } from "../../encoding/hex.ts";
import { ParentPages } from "./blobs/parent-pages.ts";
import { nodeOf } from "./index/prefix-index.ts";
import { prove } from "./seal/proof.ts";
import { layoutOf, type StateHeader } from "../../state-file/header.ts";
import { contains, countOf, fileBytes, isCuttable, pagesOf, takeRows, type PageRows } from "../../state-file/layout.ts";
import { supersede, type Superseded } from "./blobs/supersede.ts";

export interface WriterDependencies extends BlobWriterDependencies {
  readonly eviction: Eviction;
}

export class SnapshotWriter {
  readonly #dependencies: WriterDependencies;
  readonly #order: PutOrder;
  readonly #header: StateHeader;
  readonly #layout: string;
  readonly #id = randomHex();
  readonly #key: number;
  readonly #parent: ParentPages;
  readonly #blobs: BlobWriter;
  readonly #superseded: Superseded[] = [];

  /** Takes the pages that it shares with its parent, so that they stay. @throws ServiceError where they are not there, or it is too large. */
  constructor(dependencies: WriterDependencies, order: PutOrder, header: StateHeader) {
    this.#dependencies = dependencies;
    this.#order = order;
    this.#header = header;
    this.#layout = layoutOf(header);
    dependencies.eviction.check(fileBytes(header));
    this.#parent = new ParentPages(dependencies.collection, order, this.#layout);
    this.#key = dependencies.storage.transactionSync(() => this.#begin());
    this.#blobs = new BlobWriter(dependencies, this.#key, order.identity, this.#layout);
  }

  /** What follows the header in the file. @throws RangeError where it is too short. */
  async read(reader: ByteReader): Promise<void> {
    await this.#blobs.writeHead(this.#header, this.#order.tokens, reader);
    for (const [group, shape] of this.#header.groups.entries())
      for (const rows of pagesOf(this.#header, shape, this.#order.fromPage)) {
        const bytes = await reader.exact(countOf(rows.mask) * shape.tokenBytes);
        this.#compareWithParent(group, rows, await this.#blobs.writePage(group, rows, bytes), await this.#nameOfOlder(group, rows, bytes));
      }
  }

  async finish(): Promise<StoredSnapshot> {
    const { storage, collection, sealer } = this.#dependencies;
    const { tokens, chain, identity } = this.#order;
    const node = chain === null ? null : nodeOf(chain, chain.pages.length / digestBytes - 1);
    const tail = chain?.tail ?? null;
    const proof = await prove(
      sealer,
      collection.shelf,
      { id: this.#id, identity, tokens, node, tail },
      collection.rows.placements(this.#key),
    );
    const id = storage.transactionSync(() => this.#commit(proof, node, tail));
    await supersede(this.#dependencies, this.#superseded).catch((cause: unknown) => {
      logLine("error", "page_not_superseded", { cause: describeCause(cause) });
    });
    return { id, tokens, writtenBytes: this.#blobs.written, fileBytes: fileBytes(this.#header) };
  }

  /** What storage does not delete now, the object deletes when it starts again. */
  giveUp(): void {
    try {
      this.#dependencies.collection.remove(this.#key);
    } catch (cause) {
      logLine("error", "snapshot_not_removed", { cause: describeCause(cause) });
    }
  }

  #begin(): number {
    const { rows } = this.#dependencies.collection;
    const { identity, tokens, fromPage } = this.#order;
    const header = this.#header;
    const facts = { identity, tokens, layout: this.#layout, cuttable: isCuttable(header), fileBytes: fileBytes(header) };
    const key = rows.add({ id: this.#id, ...facts, used: Date.now() });
    for (const [group, shape] of header.groups.entries())
      for (const page of pagesOf(header, shape)) {
        if (page.page >= fromPage) break;
        rows.place(key, { group, page: page.page, blob: this.#parent.shared(group, page).key });
      }
    return key;
  }

  /** What a page would be called if it had only the rows that its parent has of it. */
  async #nameOfOlder(group: number, { page, mask }: PageRows, bytes: Uint8Array): Promise<string | undefined> {
    const older = this.#parent.blob(group, page);
    if (older === undefined || older.mask === mask || !contains(mask, older.mask)) return undefined;
    const rows = takeRows(bytes, mask, older.mask, bytes.length / countOf(mask));
    return await this.#blobs.nameOf(group, { page, mask: older.mask }, rows);
  }

  /** A page that begins with just the rows that the parent has of it can stand for both. */
  #compareWithParent(group: number, { page }: PageRows, newer: number, name: string | undefined): void {
    const older = this.#parent.blob(group, page);
    if (older !== undefined && older.name === name) this.#superseded.push({ group, page, older: older.key, newer });
  }

  /** The snapshot is there from now on; where one has read the same tokens already, that one is what it is. */
  #commit(proof: Uint8Array, node: string | null, tail: string | null): string {
    const { collection, eviction } = this.#dependencies;
    const { rows, index, owners } = collection;
    const { chain, owner, expires, tokens } = this.#order;
    this.#blobs.assertWanted();
    const now = Date.now();
    const same = chain === null || node === null ? undefined : index.same(chain, node);
    const kept = same ?? { key: this.#key, id: this.#id, tokens, fileBytes: fileBytes(this.#header) };
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
}
