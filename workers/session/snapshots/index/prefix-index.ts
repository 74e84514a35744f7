/**
 * Finds snapshots by the chain of a text. One that has lost nothing can be cut and is found by any of its pages: pages of such chains are
 * nodes of a tree. Others are found by their last whole page only.
 */
import { digestBytes } from "./chain.ts";
import type { TokenChain } from "../contract.ts";
import { toHex } from "../../../encoding/hex.ts";
import type { Snapshot, SnapshotRows } from "./snapshot-rows.ts";

export interface Found {
  readonly snapshot: Snapshot;
  readonly commonPages: number;
}

const mostFound = 8;
/** Of snapshots that end in the same page only so many are worth telling: their ends differ, and the text has one. */
const mostAtNode = 3;
const batchPages = 512;
/** Pages that are gone through for one that can be cut. */
const mostDescent = 4_096;

export class PrefixIndex {
  readonly #sql: SqlStorage;
  readonly #rows: SnapshotRows;

  constructor(sql: SqlStorage, rows: SnapshotRows) {
    this.#sql = sql;
    this.#rows = rows;
  }

  /** Pages of the chain of a snapshot that can be cut. Writes those that are new. */
  add(chain: TokenChain): void {
    for (let page = chain.pages.length / digestBytes - 1; page >= 0; page--) {
      const digest = nodeOf(chain, page);
      if (this.#has(digest)) return;
      this.#sql.exec("INSERT INTO nodes (digest, previous) VALUES (?, ?)", digest, nodeOf(chain, page - 1));
    }
  }

  /** Once a snapshot that ended here is gone: pages that lead nowhere any more. */
  prune(node: string | null): void {
    for (let at = node; at !== null;) {
      const leads = this.#sql.exec(
        "SELECT 1 FROM nodes WHERE previous = ? UNION ALL SELECT 1 FROM snapshots WHERE node = ? AND cuttable = 1 LIMIT 1",
        ...[at, at],
      );
      if (leads.toArray().length > 0) return;
      const [gone] = this.#sql.exec<{ previous: string }>("DELETE FROM nodes WHERE digest = ? RETURNING previous", at).toArray();
      at = gone?.previous ?? null;
    }
  }

  /** The one that has read just these tokens. */
  same({ tokens, tail }: TokenChain, node: string): Snapshot | undefined {
    return this.#rows.select("node = ? AND tail = ? AND tokens = ? AND proof IS NOT NULL", node, tail, tokens)[0];
  }

  /** Longest first, at most eight. */
  find(chain: TokenChain): Found[] {
    const found = [...this.#ending(chain), ...this.#passing(chain)];
    const best = new Map<number, Found>();
    for (const one of found) best.set(one.snapshot.key, one);
    return [...best.values()].sort((left, right) => right.snapshot.tokens - left.snapshot.tokens).slice(0, mostFound);
  }

  /** Those whose whole pages the text begins with. */
  *#ending(chain: TokenChain): Generator<Found> {
    let count = 0;
    for (let end = chain.pages.length / digestBytes; end >= 0 && count < mostFound; end -= batchPages) {
      const first = Math.max(-1, end - batchPages);
      const nodes = Array.from({ length: end - first }, (_, at) => nodeOf(chain, first + at));
      const snapshots = this.#rows.select(
        `node IN (SELECT value FROM json_each(?)) AND proof IS NOT NULL AND (cuttable = 1 OR tokens < ? OR (tokens = ? AND tail = ?))
         ORDER BY tokens DESC, used DESC LIMIT 64`,
        ...[JSON.stringify(nodes), chain.tokens, chain.tokens, chain.tail],
      );
      const atNode = new Map<string, number>();
      for (const snapshot of snapshots) {
        const node = snapshot.node ?? "";
        atNode.set(node, (atNode.get(node) ?? 0) + 1);
        if ((atNode.get(node) ?? 0) > mostAtNode) continue;
        yield { snapshot, commonPages: first + nodes.indexOf(node) + 1 };
        if (++count === mostFound) return;
      }
    }
  }

  /** Those that can be cut to the longest prefix that any has in common with the text. */
  #passing(chain: TokenChain): Found[] {
    const pages = this.#deepest(chain);
    if (pages === 0) return [];
    const snapshots = this.#rows.select(
      `cuttable = 1 AND proof IS NOT NULL AND node IN (
         WITH RECURSIVE below (digest, depth) AS (
           SELECT ?, 0 UNION ALL
           SELECT nodes.digest, depth + 1 FROM below JOIN nodes ON nodes.previous = below.digest ORDER BY 2 DESC LIMIT ${String(mostDescent)}
         ) SELECT digest FROM below
       ) ORDER BY used DESC LIMIT 2`,
      nodeOf(chain, pages - 1),
    );
    return snapshots.map((snapshot) => ({ snapshot, commonPages: pages }));
  }

  /** Pages of the text that are nodes; with a page, all before it are. */
  #deepest(chain: TokenChain): number {
    let [low, high] = [0, chain.pages.length / digestBytes];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#has(nodeOf(chain, middle - 1))) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #has(digest: string): boolean {
    return this.#sql.exec("SELECT 1 FROM nodes WHERE digest = ?", digest).toArray().length > 0;
  }
}

/** Digest of a chain up to a page; -1 is before the first. */
export function nodeOf({ origin, pages }: TokenChain, page: number): string {
  return page < 0 ? origin : toHex(pages.subarray(page * digestBytes, (page + 1) * digestBytes));
}
