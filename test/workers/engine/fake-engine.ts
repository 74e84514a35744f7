/**
 * The engine's surface in TypeScript: real bookkeeping of positions and bytes, and tokens that depend on nothing but a sequence's own
 * history. Whoever breaks a rule of the surface gets an error, as from the real one.
 */
import { noSpikes } from "../../../workers/contracts/spikes.ts";
import type { Engine } from "../../../workers/engine/engine-surface.ts";

interface FakeSequence {
  readonly parameters: { readonly stopTokens: readonly number[]; readonly promptLogprobs: number | null };
  readonly history: number[];
  read: number;
  /** Tokens of the state that it began with. */
  base: number;
  saving: { file: Uint8Array; at: number } | undefined;
  /** While a state comes in: what has come so far. */
  restoring: number[] | undefined;
  mask?: Uint8Array | undefined;
  /** Prompt tokens whose log-probabilities have not been taken. */
  untaken: number[];
}

export interface FakeOptions {
  readonly memoryBytes?: number;
  readonly bytesPerToken?: number;
  /** Tokens whose bytes stay: the state grows no further. */
  readonly windowTokens?: number;
  readonly vocabularySize?: number;
}

export class FakeEngine implements Engine {
  readonly plans: number[][] = [];
  /** Called before each step. */
  onStep: ((plan: Uint32Array) => void) | undefined;
  evictions = 0;
  /** Copies that were made. */
  forks = 0;
  readonly vocabularySize: number;
  readonly #memoryBytes: number;
  readonly #bytesPerToken: number;
  readonly #windowTokens: number;
  readonly #sequences = new Map<number, FakeSequence>();
  #nextHandle = 1;

  constructor({ memoryBytes = 1_000_000, bytesPerToken = 10, windowTokens = 2 ** 53, vocabularySize = 1000 }: FakeOptions = {}) {
    this.#memoryBytes = memoryBytes;
    this.#bytesPerToken = bytesPerToken;
    this.#windowTokens = windowTokens;
    this.vocabularySize = vocabularySize;
  }

  get openSequences(): number {
    return this.#sequences.size;
  }

  describe(): string {
    return "{}";
  }

  memoryBytes(): number {
    return this.#memoryBytes;
  }

  freeStateBytes(): number {
    const taken = ({ read, restoring }: FakeSequence): number => this.stateBytes(restoring === undefined ? read : tokensOf(restoring));
    return [...this.#sequences.values()].reduce((free, sequence) => free - taken(sequence), this.#memoryBytes);
  }

  stateBytes(tokens: number): number {
    return Math.min(tokens, this.#windowTokens) * this.#bytesPerToken;
  }

  sequenceBytes(sequence: number): number {
    return this.stateBytes(this.#get(sequence).read);
  }

  salientPositions(): Uint32Array {
    return new Uint32Array();
  }

  open(parametersJson: string): number {
    const handle = this.#nextHandle++;
    this.#sequences.set(handle, {
      parameters: JSON.parse(parametersJson) as FakeSequence["parameters"],
      history: [],
      read: 0,
      base: 0,
      saving: undefined,
      restoring: undefined,
      untaken: [],
    });
    return handle;
  }

  readLogits(sequence: number, count: number): Float32Array {
    this.step(Uint32Array.of(sequence, count));
    return new Float32Array(count * this.vocabularySize);
  }

  spikeCounts(sequence: number): string {
    return JSON.stringify([{ query: { ...noSpikes, channels: this.#get(sequence).read } }]);
  }

  spikeTotals(sequence: number): string {
    return JSON.stringify({ ...noSpikes, channels: this.#get(sequence).read });
  }

  feed(sequence: number, tokens: Uint32Array): void {
    this.#get(sequence).history.push(...tokens);
  }

  pending(sequence: number): number {
    const { history, read } = this.#get(sequence);
    return history.length - read;
  }

  step(plan: Uint32Array): void {
    this.onStep?.(plan);
    const pairs = Array.from({ length: plan.length / 2 }, (_, index) => [plan[index * 2] ?? 0, plan[index * 2 + 1] ?? 0] as const);
    const wanted = pairs.reduce((bytes, [handle, count]) => {
      const { read } = this.#get(handle);
      return bytes + this.stateBytes(read + count) - this.stateBytes(read);
    }, 0);
    if (wanted > this.freeStateBytes()) throw engineError("out_of_memory", `${String(wanted)} bytes wanted`);
    for (const [handle, count] of pairs) {
      if (count < 1 || count > this.pending(handle)) throw engineError("invalid_argument", `${String(count)} tokens are not pending`);
      this.#idle(handle);
    }
    this.plans.push([...plan]);
    for (const [handle, count] of pairs) {
      const sequence = this.#get(handle);
      if (sequence.parameters.promptLogprobs !== null)
        sequence.untaken.push(...sequence.history.slice(sequence.read, sequence.read + count));
      sequence.read += count;
    }
  }

  sample(handle: number): string {
    const sequence = this.#get(handle);
    if (this.pending(handle) !== 0) throw engineError("invalid_argument", "tokens are pending");
    let id = nextToken(sequence.history, this.vocabularySize);
    const { mask } = sequence;
    while (mask !== undefined && (((mask[id >> 3] ?? 0) >> (id & 7)) & 1) === 0) id = (id + 1) % this.vocabularySize;
    const stop = sequence.parameters.stopTokens.includes(id);
    if (!stop) sequence.history.push(id);
    return JSON.stringify({ id, stop });
  }

  setMask(handle: number, mask?: Uint8Array): void {
    this.#get(handle).mask = mask;
  }

  force(handle: number, tokens: Uint32Array): void {
    this.feed(handle, tokens);
  }

  takePromptLogprobs(handle: number): string {
    const sequence = this.#get(handle);
    const taken = sequence.untaken.map((id) => ({ id, logprob: -1, top: [] }));
    sequence.untaken = [];
    return JSON.stringify(taken);
  }

  evict(handle: number): void {
    if (this.#idle(handle).base > 0) throw engineError("state_lost", `sequence ${String(handle)} began with a state`);
    this.evictions += 1;
    this.#get(handle).read = 0;
  }

  fork(handle: number): number {
    const { parameters, history, read, base } = this.#get(handle);
    if (this.stateBytes(read) > this.freeStateBytes()) throw engineError("out_of_memory", "no room for a fork");
    this.forks += 1;
    const copy = this.#nextHandle++;
    this.#sequences.set(copy, { parameters, history: [...history], read, base, saving: undefined, restoring: undefined, untaken: [] });
    return copy;
  }

  beginSave(handle: number, fromPage: number): number {
    const sequence = this.#idle(handle);
    sequence.saving = { file: fakeState(sequence.history.slice(0, sequence.read), fromPage), at: 0 };
    return sequence.saving.file.length;
  }

  readSaved(handle: number, most: number): Uint8Array {
    const { saving } = this.#get(handle);
    if (saving === undefined) throw engineError("invalid_argument", "nothing is being saved");
    return saving.file.slice(saving.at, (saving.at += most));
  }

  endSave(handle: number): void {
    const sequence = this.#get(handle);
    if (sequence.saving === undefined) throw engineError("invalid_argument", "nothing is being saved");
    sequence.saving = undefined;
  }

  beginRestore(handle: number): void {
    const sequence = this.#idle(handle);
    if (sequence.history.length > 0) throw engineError("invalid_argument", "the sequence is not empty");
    sequence.restoring = [];
  }

  pushState(handle: number, chunk: Uint8Array): void {
    const sequence = this.#get(handle);
    if (sequence.restoring === undefined) throw engineError("invalid_argument", "nothing is being restored");
    const before = tokensOf(sequence.restoring);
    const bytes = [...sequence.restoring, ...chunk];
    sequence.restoring = undefined;
    if (bytes[0] !== undefined && bytes[0] !== magic) throw engineError("invalid_state", "the magic is wrong");
    const [tokens, free] = [tokensOf(bytes), this.freeStateBytes()];
    if (before === 0 && this.stateBytes(tokens) > free) throw engineError("out_of_memory", "no room for the state");
    if (bytes.length > (1 + tokens) * rowBytes) throw engineError("invalid_state", "the file is too long");
    sequence.restoring = bytes;
  }

  endRestore(handle: number): number {
    const sequence = this.#get(handle);
    const file = Uint8Array.from(sequence.restoring ?? []);
    sequence.restoring = undefined;
    const tokens = tokensOf(file);
    if (file.length !== (1 + tokens) * rowBytes) throw engineError("invalid_state", "the file is cut");
    const view = new DataView(file.buffer);
    for (let at = 1; at <= tokens; at += 1) sequence.history.push(view.getUint32(at * rowBytes));
    [sequence.read, sequence.base] = [tokens, tokens];
    return tokens;
  }

  describeState(firstBytes: Uint8Array): string {
    if (firstBytes[0] !== undefined && firstBytes[0] !== magic) throw engineError("invalid_state", "the magic is wrong");
    if (firstBytes.length < rowBytes) return "null";
    const tokens = tokensOf(firstBytes);
    return JSON.stringify({ tokens, bytes: this.stateBytes(tokens) });
  }

  close(handle: number): void {
    this.#get(handle);
    this.#sequences.delete(handle);
  }

  #idle(handle: number): FakeSequence {
    const sequence = this.#get(handle);
    if (sequence.saving ?? sequence.restoring) throw engineError("invalid_argument", `sequence ${String(handle)} is on its way in or out`);
    return sequence;
  }

  #get(handle: number): FakeSequence {
    const sequence = this.#sequences.get(handle);
    if (sequence === undefined) throw engineError("invalid_argument", `there is no sequence ${String(handle)}`);
    return sequence;
  }
}

const magic = 0x46;
/** Large, so that a few thousand tokens take several chunks. */
const rowBytes = 64;

/** A state's file: a row with the count of tokens, then a row for each of them. */
export function fakeState(tokens: readonly number[], fromPage = 0): Uint8Array<ArrayBuffer> {
  const rows = tokens.slice(32 * fromPage);
  const file = new Uint8Array((1 + rows.length) * rowBytes);
  const view = new DataView(file.buffer);
  view.setUint8(0, magic);
  view.setUint32(4, tokens.length);
  for (const [at, id] of rows.entries()) view.setUint32((1 + at) * rowBytes, id);
  return file;
}

/** What a file's first bytes say; 0 before they are there. */
function tokensOf(file: ArrayLike<number>): number {
  return Array.from({ length: 4 }, (_unused, at) => file[4 + at] ?? 0).reduce((tokens, byte) => tokens * 256 + byte, 0);
}

/** The token that follows a history, and so what any schedule must produce. */
export function nextToken(history: readonly number[], vocabularySize: number): number {
  return history.reduce((hash, id) => (Math.imul(hash, 31) + id + 7) >>> 0, 17) % vocabularySize;
}

export function engineError(code: string, message: string): Error {
  return Object.assign(new Error(message), { name: "EngineError", code });
}
