/**
 * A state file in the parts that ranks have of it: behind a header that all have, runs of the same bytes of one KV head after another (`wasm/API.md`,
 * `stateRuns`). The file is the same bytes however many ranks have made it.
 */
import { joined } from "../../encoding/joined.ts";

/** What `Engine.stateRuns` prints. */
export interface StateRuns {
  readonly headerBytes: number;
  readonly runs: readonly (readonly [times: number, headBytes: number])[];
}

/** Where a cursor is within the runs. */
class Place {
  readonly #runs: StateRuns["runs"];
  readonly #heads: readonly number[];
  #run = 0;
  #time = 0;
  #rank = 0;
  #within = 0;

  constructor(runs: StateRuns["runs"], heads: readonly number[]) {
    [this.#runs, this.#heads] = [runs, heads];
    this.#settle();
  }

  /** Whose bytes come next, and how many of them lie together; undefined behind the last. */
  get next(): { readonly rank: number; readonly bytes: number } | undefined {
    if (this.#run === this.#runs.length) return undefined;
    return { rank: this.#rank, bytes: this.#length - this.#within };
  }

  /** At most as many as lie together. */
  take(bytes: number): void {
    this.#within += bytes;
    this.#settle();
  }

  get #length(): number {
    return (this.#heads[this.#rank] ?? 0) * (this.#runs[this.#run]?.[1] ?? 0);
  }

  /** Goes on to the next place that has bytes. */
  #settle(): void {
    while (this.#run < this.#runs.length && this.#within === this.#length) {
      this.#within = 0;
      this.#rank += 1;
      if (this.#rank < this.#heads.length) continue;
      this.#rank = 0;
      this.#time += 1;
      if (this.#time < (this.#runs[this.#run]?.[0] ?? 0)) continue;
      [this.#time, this.#run] = [0, this.#run + 1];
    }
  }
}

/** Makes the file of the ranks' parts. `heads` are the KV heads of each. */
export class StateJoiner {
  readonly #place: Place;
  readonly #parts: Uint8Array[];
  #header: Uint8Array;

  constructor(header: Uint8Array, { runs }: StateRuns, heads: readonly number[]) {
    this.#header = header;
    this.#place = new Place(runs, heads);
    this.#parts = heads.map(() => new Uint8Array(0));
  }

  /** The next bytes, at most `most`; none behind the last. `more` brings what follows of a rank's part. */
  read(most: number, more: (rank: number) => Uint8Array): Uint8Array {
    const out = new Uint8Array(most);
    let filled = Math.min(most, this.#header.byteLength);
    out.set(this.#header.subarray(0, filled));
    this.#header = this.#header.subarray(filled);
    while (filled < most) {
      const { next } = this.#place;
      if (next === undefined) break;
      let part = this.#parts[next.rank] ?? new Uint8Array(0);
      if (part.byteLength === 0) part = more(next.rank);
      if (part.byteLength === 0) throw new Error(`rank ${String(next.rank)} has too few bytes of a state`);
      const count = Math.min(next.bytes, part.byteLength, most - filled);
      out.set(part.subarray(0, count), filled);
      this.#parts[next.rank] = part.subarray(count);
      this.#place.take(count);
      filled += count;
    }
    return out.subarray(0, filled);
  }
}

/** Divides a file into the ranks' parts. The header is the caller's affair; what comes behind the end goes to all, who refuse it. */
export class StateSplitter {
  readonly #place: Place;
  readonly #ranks: number;

  constructor({ runs }: StateRuns, heads: readonly number[]) {
    [this.#place, this.#ranks] = [new Place(runs, heads), heads.length];
  }

  /** The bytes of each rank in the next bytes of the file. */
  split(chunk: Uint8Array): Uint8Array[] {
    const found: Uint8Array[][] = Array.from({ length: this.#ranks }, () => []);
    for (let at = 0; at < chunk.byteLength;) {
      const { next } = this.#place;
      const rest = chunk.subarray(at);
      if (next === undefined) {
        for (const of of found) of.push(rest);
        break;
      }
      const part = rest.subarray(0, next.bytes);
      found[next.rank]?.push(part);
      this.#place.take(part.byteLength);
      at += part.byteLength;
    }
    return found.map(joined);
  }
}
