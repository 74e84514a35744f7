import type { Cut } from "../contracts/stages.ts";
import type { SpikingMode } from "../contracts/spikes.ts";

/** The JavaScript surface of the WASM engine, as wasm/API.md says. The built package is checked against it where it is imported. */
export interface Engine {
  describe(): string;
  memoryBytes(): number;
  freeStateBytes(): number;
  stateBytes(tokens: number): number;
  sequenceBytes(sequence: number): number;
  salientPositions(sequence: number, layer: number, head: number): Uint32Array;
  open(parametersJson: string): number;
  feed(sequence: number, tokens: Uint32Array): void;
  pending(sequence: number): number;
  step(plan: Uint32Array): void;
  sample(sequence: number): string;
  readLogits(sequence: number, count: number): Float32Array;
  setMask(sequence: number, mask?: Uint8Array): void;
  force(sequence: number, tokens: Uint32Array): void;
  takePromptLogprobs(sequence: number): string;
  spikeCounts(sequence: number): string;
  spikeTotals(sequence: number): string;
  evict(sequence: number): void;
  fork(sequence: number): number;
  beginSave(sequence: number, fromPage: number, modeJson: string): number;
  readSaved(sequence: number, most: number): Uint8Array;
  endSave(sequence: number): void;
  beginRestore(sequence: number, seen: Uint32Array): void;
  pushState(sequence: number, chunk: Uint8Array): void;
  endRestore(sequence: number): number;
  describeState(firstBytes: Uint8Array): string;
  close(sequence: number): void;
}

/** One of several ranks that compute a model between them. */
export interface RankEngine extends Engine {
  accept(sequence: number, token?: number): void;
  stateHeaderBytes(): number;
  stateRuns(firstBytes: Uint8Array, fromPage: number): string;
}

/** How a rank reaches the others of its model; places are bytes in its linear memory, all else counts f32 numbers. */
export interface RankExchange {
  gather(own: number, length: number, at: number, all: number, total: number): number;
  leave(code: number): void;
}

/** What a scheduler computes with: one engine, or one that leads stages (`stages/staged-engine.ts`), where things take their time. */
export interface ComputingEngine extends Omit<Engine, "step" | "readSaved" | "endRestore"> {
  /** Whoever leads stages may begin so many steps before the first has ended; each with other sequences. 1 where it is left out. */
  readonly stepsAtOnce?: number;
  /** Rejects as it throws. A step of stages reads as much of the plan as one pass has room for. */
  step(plan: Uint32Array): void | Promise<void>;
  /** Undefined where the next bytes are not here yet. */
  readSaved(sequence: number, most: number): Uint8Array | undefined;
  /** Undefined while not all that was pushed has been taken in. */
  endRestore(sequence: number): number | undefined;
  /** Whether more of a state that comes in may be pushed now; always where it is left out. */
  takesState?(sequence: number): boolean;
  /** Called when something is here that was not here yet. */
  onProgress?: (() => void) | undefined;
}

/** An engine that may hold a part of a model. */
export interface PartEngine extends Engine {
  limitPass(tokens: number): void;
  partBytes(cutJson: string, tokens: number): number;
  partOfFile(cutJson: string, header: Uint8Array, fromPage: number): string;
  stateHeaderBytes(): number;
  beginPass(owner: number, plan: Uint32Array): BegunPass;
  joinRows(message: Uint8Array, ranges: Uint32Array, rows: Uint8Array[]): Uint8Array;
  endPass(pass: number, message: Uint8Array): boolean;
  takeLogits(pass: number, logits: Uint8Array): boolean;
  wanted(pass: number): number;
  dropPass(pass: number): void;
  passOn(message: Uint8Array): Uint8Array;
  embedPart(message: Uint8Array): Uint8Array;
  logitsPart(message: Uint8Array, first: number, count: number): Uint8Array;
  laySinks(rows: Uint8Array): Uint8Array;
  guest(owner: number, sequence: number): number;
  forkGuest(owner: number, from: number, to: number): void;
  forgetGuest(owner: number, sequence: number): void;
  forgetOwner(owner: number): void;
}

export interface BegunPass {
  readonly pass: number;
  readonly message: Uint8Array;
}

/** What `PartEngine.partOfFile()` prints: bytes of the head, then tokens and bytes of each token by group. */
export interface PartOfFile {
  readonly head: number;
  readonly groups: readonly (readonly [tokens: number, bytes: number])[];
}

export interface ModelLoader<E = PartEngine> {
  push(chunk: Uint8Array): void;
  neededFrom(): number;
  skip(bytes: number): void;
  finish(): E;
  /** Gives the memory of an unfinished load back. */
  free(): void;
}

export interface LoaderOptions {
  readonly kvType: "int8" | "f32";
  /** Bound of the whole linear memory. */
  readonly memoryLimitBytes: number;
  /** The file's own wish where it is left out. */
  readonly spikes?: SpikingMode;
  /** sha256 of the weights file and of the tokenizer, hex: what states belong to; not checked where they are left out. */
  readonly modelDigest?: string;
  readonly tokenizerDigest?: string;
  /** Which of how many ranks; alone where both are left out. Several have a {@link RankExchange}. */
  readonly rank?: number;
  readonly ranks?: number;
  /** The part of the model that is loaded; all of it where it is left out. */
  readonly cut?: Cut;
}

/** What `Engine.describeState()` prints once the header is whole. */
export interface StateFacts {
  /** Tokens of text that made it. */
  readonly tokens: number;
  /** What it will take of the memory. */
  readonly bytes: number;
}

/** What `Engine.describe()` prints. */
export interface EngineDescription {
  readonly architecture: string;
  readonly name: string;
  readonly parameters: number;
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly layers: number;
  readonly kvHeads: number;
  /** Whether a state stops growing, however long the text. */
  readonly constantState: boolean;
  /** Evicted tokens that each KV head keeps exactly; null without `evicted` layers. */
  readonly salientTokens: number | null;
  /** Numbers of a residual row. */
  readonly hidden: number;
  readonly learnedSinks: number;
  /** Most tokens of a pass. */
  readonly passTokens: number;
  readonly kernel: string;
  readonly weightBytes: number;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  readonly kvType: "int8" | "f32";
  readonly spikes: SpikingMode;
}

/** What a rank's `describe()` prints. */
export interface RankDescription extends EngineDescription {
  /** Of each rank in their order. */
  readonly kvHeadsOfRanks: readonly number[];
}

export type EngineErrorCode = "invalid_gguf" | "unsupported_model" | "invalid_state" | "state_lost" | "invalid_argument" | "out_of_memory";

/** An error of the engine's kind that comes from elsewhere than its code. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly code: EngineErrorCode;

  constructor(code: EngineErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A stage has begun anew: no state that was read before is whole any more. */
export class StatesLost extends EngineError {
  constructor(message: string, options?: ErrorOptions) {
    super("state_lost", message, options);
  }
}

/** The code of an error the engine threw on purpose; undefined for anything else, a trap included. */
export function engineErrorCode(error: unknown): EngineErrorCode | undefined {
  return error instanceof Error && error.name === "EngineError" && "code" in error ? (error.code as EngineErrorCode) : undefined;
}
