/** Merges the bytes of one word: always the lowest rank, leftmost first. */
import { GrowingArray } from "./growing-array.ts";
import { MergeQueue, positionOf, rankOf } from "./merge-queue.ts";
import { MergeTable } from "./merge-table.ts";

/** Up to here a scan for the lowest rank beats a queue; nearly every word of every language is shorter. */
const longestScannedWord = 128;
const absorbed = -1;

export class BytePairMerger {
  readonly #table: MergeTable;
  readonly #tokenOfByte: Int32Array;
  /** By `left * 256 + right`: the rank of two bytes. The first look at a word needs only these. */
  readonly #bytePairRanks: Int32Array;
  /** Scratch of one call, always written before it is read, so that nothing of one text reaches the next. */
  readonly #ids = new Int32Array(longestScannedWord);
  readonly #ranks = new Int32Array(longestScannedWord);

  /** `tokenOfByte` has -1 for a byte that the vocabulary lacks; such bytes vanish, as in Hugging Face `tokenizers` without an unknown token. */
  constructor(table: MergeTable, tokenOfByte: Int32Array) {
    this.#table = table;
    this.#tokenOfByte = tokenOfByte;
    this.#bytePairRanks = new Int32Array(256 * 256).fill(MergeTable.NONE);
    for (const [left, leftId] of tokenOfByte.entries()) {
      for (const [right, rightId] of tokenOfByte.entries()) this.#bytePairRanks[left * 256 + right] = table.rankOf(leftId, rightId);
    }
  }

  append(bytes: Uint8Array, start: number, end: number, output: GrowingArray): void {
    if (end - start <= longestScannedWord) this.#mergeByScanning(bytes, start, end, output);
    else this.#mergeByQueue(bytes, start, end, output);
  }

  #mergeByScanning(bytes: Uint8Array, start: number, end: number, output: GrowingArray): void {
    const [ids, ranks, table, bytePairRanks, tokenOfByte] = [this.#ids, this.#ranks, this.#table, this.#bytePairRanks, this.#tokenOfByte];
    let count = 0;
    let previous = 0;
    for (let position = start; position < end; position++) {
      const byte = bytes[position] ?? 0;
      const id = tokenOfByte[byte] ?? absorbed;
      if (id < 0) continue;
      if (count > 0) ranks[count - 1] = bytePairRanks[previous * 256 + byte] ?? MergeTable.NONE;
      ids[count++] = id;
      previous = byte;
    }
    while (count > 1) {
      let at = 0;
      let lowest = MergeTable.NONE;
      for (let index = 0; index + 1 < count; index++) {
        const rank = ranks[index] ?? MergeTable.NONE;
        if (rank < lowest) {
          lowest = rank;
          at = index;
        }
      }
      if (lowest === MergeTable.NONE) break;
      count--;
      ids[at] = table.merged[lowest] ?? 0;
      for (let index = at + 1; index < count; index++) {
        ids[index] = ids[index + 1] ?? 0;
        ranks[index] = ranks[index + 1] ?? 0;
      }
      if (at > 0) ranks[at - 1] = table.rankOf(ids[at - 1] ?? 0, ids[at] ?? 0);
      if (at + 1 < count) ranks[at] = table.rankOf(ids[at] ?? 0, ids[at + 1] ?? 0);
    }
    for (let index = 0; index < count; index++) output.push(ids[index] ?? 0);
  }

  /** A token that spans symbols `p` to `q` keeps its id at `p` and its span at both ends, so that both neighbours are found at once. */
  #mergeByQueue(bytes: Uint8Array, start: number, end: number, output: GrowingArray): void {
    const table = this.#table;
    const ids = new Int32Array(end - start);
    let count = 0;
    for (let position = start; position < end; position++) {
      const id = this.#tokenOfByte[bytes[position] ?? 0] ?? absorbed;
      if (id >= 0) ids[count++] = id;
    }
    const spans = new Int32Array(count).fill(1);
    const queue = new MergeQueue();
    const offer = (left: number, right: number): void => {
      const rank = table.rankOf(ids[left] ?? 0, ids[right] ?? 0);
      if (rank !== MergeTable.NONE) queue.push(rank, left);
    };
    for (let index = 0; index + 1 < count; index++) offer(index, index + 1);
    for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
      const left = positionOf(key);
      const rank = rankOf(key);
      const right = left + (spans[left] ?? 0);
      // Either side may have merged elsewhere since the pair was offered.
      if (ids[left] === absorbed || right >= count || table.rankOf(ids[left] ?? 0, ids[right] ?? 0) !== rank) continue;
      const following = right + (spans[right] ?? 0);
      ids[left] = table.merged[rank] ?? 0;
      ids[right] = absorbed;
      spans[left] = spans[following - 1] = following - left;
      if (left > 0) offer(left - (spans[left - 1] ?? 0), left);
      if (following < count) offer(left, following);
    }
    for (let index = 0; index < count; index += spans[index] ?? 1) output.push(ids[index] ?? 0);
  }
}
