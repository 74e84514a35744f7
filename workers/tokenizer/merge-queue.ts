/**
 * The pairs of one long word waiting to merge, lowest rank first, leftmost first within a rank.
 *
 * A rank's positions mostly arrive all before the rank's turn and already in order, so they are appended to a bucket and sorted once;
 * what arrives during or after the turn goes through a binary heap. O(n log n) whatever the order, near O(n) on real vocabularies.
 */
import { GrowingArray } from "./growing-array.ts";

/** Above any position, so that `rank * rankUnit + position` orders by rank, then position, exactly in a double. */
const rankUnit = 2 ** 32;

export class MergeQueue {
  readonly #buckets = new Map<number, GrowingArray>();
  /** Ranks whose bucket is waiting. */
  readonly #ranks = new MinimumHeap();
  /** Keys of ranks that have had their turn, or have it. */
  readonly #late = new MinimumHeap();
  #rank = -1;
  #positions: Uint32Array = new Uint32Array(0);
  #cursor = 0;
  #lastBucket: GrowingArray | undefined;
  #lastRank = -1;

  push(rank: number, position: number): void {
    if (rank <= this.#rank) {
      this.#late.push(rank * rankUnit + position);
      return;
    }
    if (rank !== this.#lastRank || this.#lastBucket === undefined) {
      let bucket = this.#buckets.get(rank);
      if (bucket === undefined) {
        bucket = new GrowingArray();
        this.#buckets.set(rank, bucket);
        this.#ranks.push(rank);
      }
      this.#lastBucket = bucket;
      this.#lastRank = rank;
    }
    this.#lastBucket.push(position);
  }

  /** The next key, to be taken apart by {@link rankOf} and {@link positionOf}; undefined when none is left. */
  pop(): number | undefined {
    const late = this.#late.peek();
    if (this.#cursor < this.#positions.length) {
      const key = this.#rank * rankUnit + (this.#positions[this.#cursor] ?? 0);
      if (late !== undefined && late < key) return this.#late.pop();
      this.#cursor++;
      return key;
    }
    if (late !== undefined) return this.#late.pop();
    const rank = this.#ranks.pop();
    if (rank === undefined) return undefined;
    this.#rank = rank;
    this.#positions = ascending(this.#buckets.get(rank)?.view() ?? new Uint32Array(0));
    this.#buckets.delete(rank);
    this.#cursor = 0;
    return this.pop();
  }
}

export function rankOf(key: number): number {
  return Math.floor(key / rankUnit);
}

export function positionOf(key: number): number {
  return key % rankUnit;
}

function ascending(positions: Uint32Array): Uint32Array {
  for (let index = 1; index < positions.length; index++) {
    if ((positions[index - 1] ?? 0) > (positions[index] ?? 0)) return positions.sort();
  }
  return positions;
}

class MinimumHeap {
  readonly #keys: number[] = [];

  peek(): number | undefined {
    return this.#keys[0];
  }

  push(key: number): void {
    const keys = this.#keys;
    let at = keys.push(key) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = keys[parent] ?? 0;
      if (above <= key) break;
      keys[at] = above;
      at = parent;
    }
    keys[at] = key;
  }

  pop(): number | undefined {
    const keys = this.#keys;
    const top = keys[0];
    const moved = keys.pop();
    if (moved === undefined || keys.length === 0) return top;
    let at = 0;
    while (true) {
      let child = 2 * at + 1;
      if (child >= keys.length) break;
      if (child + 1 < keys.length && (keys[child + 1] ?? 0) < (keys[child] ?? 0)) child++;
      const below = keys[child] ?? 0;
      if (below >= moved) break;
      keys[at] = below;
      at = child;
    }
    keys[at] = moved;
    return top;
  }
}
