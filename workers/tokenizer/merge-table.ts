import { modelInvalid } from "./failures.ts";

/** The merges of a vocabulary: which rank, if any, joins two neighbouring tokens. Immutable once built. */
const slotWidth = 3;

export class MergeTable {
  /** Larger than any rank. */
  static readonly NONE = 0x7fffffff;

  /** The token that a rank's merge makes. */
  readonly merged: Int32Array;
  /** Open addressing, three numbers a slot: left, right, rank. An empty slot has left -1. */
  readonly #slots: Int32Array;
  readonly #mask: number;

  constructor(capacity: number) {
    // At most half full, so that probing stays short.
    const slots = 2 ** Math.ceil(Math.log2(Math.max(2, capacity * 2)));
    this.#slots = new Int32Array(slots * slotWidth).fill(-1);
    this.#mask = slots - 1;
    this.merged = new Int32Array(capacity);
  }

  /** A pair that comes again takes its later rank, as in Hugging Face `tokenizers`. */
  add(rank: number, left: number, right: number, merged: number): void {
    const at = this.#slotOf(left, right);
    this.#slots[at] = left;
    this.#slots[at + 1] = right;
    this.#slots[at + 2] = rank;
    this.merged[rank] = merged;
  }

  /** {@link MergeTable.NONE} when the two do not merge. */
  rankOf(left: number, right: number): number {
    const at = this.#slotOf(left, right);
    return this.#slots[at] === -1 ? MergeTable.NONE : (this.#slots[at + 2] ?? MergeTable.NONE);
  }

  #slotOf(left: number, right: number): number {
    const slots = this.#slots;
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    while (true) {
      const at = (hash & this.#mask) * slotWidth;
      const found = slots[at];
      if (found === -1 || (found === left && slots[at + 1] === right)) return at;
      hash++;
    }
  }
}

/** `merges` in rank order, each two tokens with a space between; the result of each must be an ordinary token too. */
export function buildMergeTable(merges: readonly string[], idOfToken: ReadonlyMap<string, number>): MergeTable {
  const table = new MergeTable(merges.length);
  for (let rank = 0; rank < merges.length; rank++) {
    const merge = merges[rank] ?? "";
    const space = merge.indexOf(" ");
    const [left, right] = [merge.slice(0, space), merge.slice(space + 1)];
    const [leftId, rightId, mergedId] = [idOfToken.get(left), idOfToken.get(right), idOfToken.get(left + right)];
    if (space < 0 || leftId === undefined || rightId === undefined || mergedId === undefined) throw brokenMerge(rank, merge, idOfToken);
    table.add(rank, leftId, rightId, mergedId);
  }
  return table;
}

function brokenMerge(rank: number, merge: string, idOfToken: ReadonlyMap<string, number>): Error {
  const sides = merge.split(" ");
  if (sides.length !== 2)
    return modelInvalid(`tokenizer merge ${String(rank)} is ${JSON.stringify(merge)}; it must be two tokens and a space`);
  const missing = [...sides, sides.join("")].find((token) => !idOfToken.has(token));
  return modelInvalid(`tokenizer merge ${String(rank)} needs ${JSON.stringify(missing)}, which is not an ordinary token of the vocabulary`);
}
