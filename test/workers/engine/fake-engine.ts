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
  onStep: (() => void) | undefined;
  evictions = 0;
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
    return [...this.#sequences.values()].reduce((free, { read }) => free - this.stateBytes(read), this.#memoryBytes);
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
    this.onStep?.();
    const pairs = Array.from({ length: plan.length / 2 }, (_, index) => [plan[index * 2] ?? 0, plan[index * 2 + 1] ?? 0] as const);
    const wanted = pairs.reduce((bytes, [handle, count]) => {
      const { read } = this.#get(handle);
      return bytes + this.stateBytes(read + count) - this.stateBytes(read);
    }, 0);
    if (wanted > this.freeStateBytes()) throw engineError("out_of_memory", `${String(wanted)} bytes wanted`);
    for (const [handle, count] of pairs) {
      if (count < 1 || count > this.pending(handle)) throw engineError("invalid_argument", `${String(count)} tokens are not pending`);
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
    const id = nextToken(sequence.history, this.vocabularySize);
    const stop = sequence.parameters.stopTokens.includes(id);
    if (!stop) sequence.history.push(id);
    return JSON.stringify({ id, stop });
  }

  takePromptLogprobs(handle: number): string {
    const sequence = this.#get(handle);
    const taken = sequence.untaken.map((id) => ({ id, logprob: -1, top: [] }));
    sequence.untaken = [];
    return JSON.stringify(taken);
  }

  evict(handle: number): void {
    this.evictions += 1;
    this.#get(handle).read = 0;
  }

  close(handle: number): void {
    this.#get(handle);
    this.#sequences.delete(handle);
  }

  #get(handle: number): FakeSequence {
    const sequence = this.#sequences.get(handle);
    if (sequence === undefined) throw engineError("invalid_argument", `there is no sequence ${String(handle)}`);
    return sequence;
  }
}

/** The token that follows a history, and so what any schedule must produce. */
export function nextToken(history: readonly number[], vocabularySize: number): number {
  return history.reduce((hash, id) => (Math.imul(hash, 31) + id + 7) >>> 0, 17) % vocabularySize;
}

export function engineError(code: string, message: string): Error {
  return Object.assign(new Error(message), { name: "EngineError", code });
}
