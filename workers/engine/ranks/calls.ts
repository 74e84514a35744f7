/**
 * How the first rank calls the others, which wait for it in threads of their own: a call and its answers lie in memory that both share, so that
 * the caller can wait for them without an event loop, as the engine's surface is synchronous.
 */

/** Words of the control block. */
const calls = 0;
const answered = 1;
const callBytes = 2;
const controlWords = 3;

const firstBytes = 1 << 16;
const mostBytes = 1 << 30;
const looks = 20_000;
const napMilliseconds = 100;

/** Memory of one caller and those who follow it. */
export interface CallLine {
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly call: SharedArrayBuffer;
  /** One of each follower: status, bytes of the answer, sizes, and the answer. */
  readonly answers: readonly SharedArrayBuffer[];
}

/** What every answer tells beside its value: a rank's memory. */
export interface RankMemory {
  readonly memoryBytes: number;
  readonly freeStateBytes: number;
}

export interface Call {
  /** A method of the engine, with what JSON holds of its arguments. */
  readonly method: string;
  readonly parameters: readonly unknown[];
  /** Numbers or bytes beside them; of each follower its own where there is more than one part. */
  readonly parts?: readonly Uint8Array[];
  /** The one rank that is to do it; the others answer at once. All of them where it is left out. */
  readonly to?: number;
  /** What the first rank has sampled since the last call, which every rank accepts before it does anything else. */
  readonly sampled?: readonly (readonly [sequence: number, token?: number])[];
}

/** What a follower has made of a call. */
export type Answer = { readonly memory: RankMemory } & (
  { readonly ok: true; readonly json: unknown; readonly bytes: Uint8Array } | { readonly ok: false; readonly error: RankError }
);

export interface RankError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
}

const growable = (): SharedArrayBuffer => new SharedArrayBuffer(firstBytes, { maxByteLength: mostBytes });

export function createLine(followers: number): CallLine {
  return {
    control: new Int32Array(new SharedArrayBuffer(4 * controlWords)),
    call: growable(),
    answers: Array.from({ length: followers }, growable),
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** `[length of JSON, JSON, length of a part, part, …]`, lengths of four bytes. */
function write(buffer: SharedArrayBuffer, json: unknown, parts: readonly Uint8Array[]): number {
  const all = [encoder.encode(JSON.stringify(json)), ...parts];
  const total = all.reduce((sum, part) => sum + 4 + part.byteLength, 0);
  if (total > mostBytes) throw new RangeError(`a call between ranks may have ${String(mostBytes)} bytes; it has ${String(total)}`);
  if (buffer.byteLength < total) buffer.grow(total);
  const [view, bytes] = [new DataView(buffer), new Uint8Array(buffer)];
  let at = 0;
  for (const part of all) {
    view.setUint32(at, part.byteLength, true);
    bytes.set(part, at + 4);
    at += 4 + part.byteLength;
  }
  return total;
}

function read(buffer: SharedArrayBuffer, total: number): { json: unknown; parts: Uint8Array[] } {
  // A copy: what is shared can be given to neither a decoder nor the engine, and the next call writes over it.
  const bytes = new Uint8Array(buffer, 0, total).slice();
  const view = new DataView(bytes.buffer);
  const all: Uint8Array[] = [];
  for (let at = 0; at < total;) {
    const length = view.getUint32(at, true);
    all.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  const [json = new Uint8Array(0), ...parts] = all;
  return { json: JSON.parse(decoder.decode(json)), parts };
}

/** The first rank's end. */
export class Caller {
  readonly #line: CallLine;

  constructor(line: CallLine) {
    this.#line = line;
  }

  /** Every follower begins; {@link answers} waits for them. */
  begin({ parts = [], ...call }: Call): void {
    const { control } = this.#line;
    Atomics.store(control, callBytes, write(this.#line.call, call, parts));
    Atomics.store(control, answered, 0);
    Atomics.add(control, calls, 1);
    Atomics.notify(control, calls);
  }

  answers(): Answer[] {
    const { control, answers } = this.#line;
    waitWhile(control, answered, (count) => count < answers.length);
    return answers.map((buffer) => {
      const { json, parts } = read(buffer, buffer.byteLength < 4 ? 0 : lengthOf(buffer));
      const answer = json as { readonly memory: RankMemory; readonly json?: unknown; readonly error?: RankError };
      if (answer.error !== undefined) return { ok: false, memory: answer.memory, error: answer.error };
      return { ok: true, memory: answer.memory, json: answer.json, bytes: parts[0] ?? new Uint8Array(0) };
    });
  }
}

/** An answer's buffer ends with the length of what is in it. */
function lengthOf(buffer: SharedArrayBuffer): number {
  const view = new DataView(buffer);
  let at = 4 + view.getUint32(0, true);
  at += 4 + view.getUint32(at, true);
  return at;
}

/** Another rank's end. */
export class Follower {
  readonly #line: CallLine;
  readonly #answers: SharedArrayBuffer;
  readonly #index: number;
  #seen = 0;

  /** Follower `index`, from 0, is rank `index + 1`. */
  constructor(line: CallLine, index: number) {
    const answers = line.answers[index];
    if (answers === undefined) throw new RangeError(`there is no follower ${String(index)}`);
    [this.#line, this.#answers, this.#index] = [line, answers, index];
  }

  /** The next call, whenever it comes; with the part that is this follower's. */
  next(): Required<Omit<Call, "parts" | "to">> & { readonly part: Uint8Array; readonly isMine: boolean } {
    const { control } = this.#line;
    waitWhile(control, calls, (number) => number === this.#seen);
    this.#seen = Atomics.load(control, calls);
    const { json, parts } = read(this.#line.call, Atomics.load(control, callBytes));
    const part = parts.length > 1 ? parts[this.#index] : parts[0];
    const { method, parameters, to, sampled = [] } = json as Omit<Call, "parts">;
    return { method, parameters, sampled, part: part ?? new Uint8Array(0), isMine: to === undefined || to === this.#index + 1 };
  }

  answer(memory: RankMemory, value: { readonly json?: unknown; readonly bytes?: Uint8Array } | { readonly error: RankError }): void {
    const { control } = this.#line;
    const { bytes = new Uint8Array(0), ...json } = "error" in value ? { ...value, bytes: undefined } : value;
    write(this.#answers, { memory, ...json }, [bytes]);
    Atomics.add(control, answered, 1);
    Atomics.notify(control, answered);
  }
}

/** Looks for a while, then sleeps. */
function waitWhile(control: Int32Array<SharedArrayBuffer>, word: number, isSo: (value: number) => boolean): void {
  for (let look = 0; ; look += 1) {
    const value = Atomics.load(control, word);
    if (!isSo(value)) return;
    if (look >= looks) Atomics.wait(control, word, value, napMilliseconds);
  }
}
