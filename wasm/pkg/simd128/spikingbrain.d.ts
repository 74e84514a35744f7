/* tslint:disable */
/* eslint-disable */

/** How a rank reaches the others. Places and lengths are of f32 numbers in its linear memory, places in bytes. */
export interface RankExchange {
    /** Hands in `length` numbers at `own`, which are at index `at` among those of all ranks, waits for the others, and writes `total` numbers of all of them to `all`, none where it is 0. Returns 0, or the number that a rank has left with. */
    gather(own: number, length: number, at: number, all: number, total: number): number;
    /** Fails every gathering that another rank waits in or comes to. */
    leave(code: number): void;
}



/**
 * A loaded model and its sequences.
 */
export class Engine {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * On ranks beside the first: what that has sampled, nothing for a stop token.
     */
    accept(sequence: number, token?: number | null): void;
    /**
     * Begins a pass: `{ pass, message }`.
     */
    beginPass(owner: number, plan: Uint32Array | number[]): any;
    /**
     * Begins to give an empty sequence a state that these tokens made.
     */
    beginRestore(sequence: number, seen: Uint32Array): void;
    /**
     * Begins to save; how many bytes will come.
     */
    beginSave(sequence: number, from_page: number, mode_json: string): number;
    /**
     * Frees a sequence.
     */
    close(sequence: number): void;
    /**
     * What a state file's first bytes say, as JSON; `null` while they are too few.
     */
    describeState(first_bytes: Uint8Array): string;
    /**
     * JSON of what is loaded.
     */
    describe(): string;
    /**
     * Gives a pass up.
     */
    dropPass(pass: number): void;
    /**
     * Rows of the embedding of those of a pass's tokens that this part has.
     */
    embedPart(message: Uint8Array): Uint8Array;
    /**
     * Ends a pass; false where the logits of its wanted tokens have still to be taken.
     */
    endPass(pass: number, message: Uint8Array): boolean;
    /**
     * After the last byte; tokens that the state has read.
     */
    endRestore(sequence: number): number;
    /**
     * After the last bytes, or before.
     */
    endSave(sequence: number): void;
    /**
     * Drops the state, keeps the tokens.
     */
    evict(sequence: number): void;
    /**
     * Appends tokens to read.
     */
    feed(sequence: number, tokens: Uint32Array | number[]): void;
    /**
     * Appends tokens as if they had been chosen.
     */
    force(sequence: number, tokens: Uint32Array | number[]): void;
    /**
     * Frees an owner's sequence, if it is here.
     */
    forgetGuest(owner: number, sequence: number): void;
    /**
     * Frees all of an owner's sequences.
     */
    forgetOwner(owner: number): void;
    /**
     * A copy of an owner's sequence under another of its names.
     */
    forkGuest(owner: number, from: number, to: number): void;
    /**
     * A copy.
     */
    fork(sequence: number): number;
    /**
     * Bytes that state may still take.
     */
    freeStateBytes(): number;
    /**
     * The sequence that stands here for an owner's.
     */
    guest(owner: number, sequence: number): number;
    /**
     * Joins rows of parts of the embedding, `[from, to, from, to, ...]` and the bytes of each, into a message.
     */
    joinRows(message: Uint8Array, ranges: Uint32Array | number[], rows: Array<any>): Uint8Array;
    /**
     * The learned sinks' rows as the part before this one leaves them; as this one does.
     */
    laySinks(rows: Uint8Array): Uint8Array;
    /**
     * Most tokens of a pass from now on, where other parts have room for fewer.
     */
    limitPass(tokens: number): void;
    /**
     * Logits over this part's rows of the head, of so many of the wanted tokens.
     */
    logitsPart(message: Uint8Array, first: number, count: number): Uint8Array;
    /**
     * Size of the linear memory.
     */
    memoryBytes(): number;
    /**
     * A new sequence; parameters as JSON.
     */
    open(parameters_json: string): number;
    /**
     * Bytes that a part (JSON) of the model has of a state of so many tokens.
     */
    partBytes(cut_json: string, tokens: number): number;
    /**
     * JSON of what a part has of a state file with this header: `{ head, groups: [tokens, bytes of a token][] }`; `null` while it is not whole.
     */
    partOfFile(cut_json: string, header: Uint8Array, from_page: number): string;
    /**
     * This part of a pass.
     */
    passOn(message: Uint8Array): Uint8Array;
    /**
     * Tokens still to read.
     */
    pending(sequence: number): number;
    /**
     * The state file's next bytes.
     */
    pushState(sequence: number, chunk: Uint8Array): void;
    /**
     * Reads so many pending tokens and returns the logits after each, `[count, vocabulary]`; none on ranks beside the first.
     */
    readLogits(sequence: number, count: number): Float32Array;
    /**
     * The next bytes, at most so many.
     */
    readSaved(sequence: number, most: number): Uint8Array;
    /**
     * Positions of the tokens that a KV head of an `evicted` layer keeps exactly, slot by slot.
     */
    salientPositions(sequence: number, layer: number, head: number): Uint32Array;
    /**
     * The next token, as JSON.
     */
    sample(sequence: number): string;
    /**
     * Bytes of a sequence's state now.
     */
    sequenceBytes(sequence: number): number;
    /**
     * Of which the next tokens are chosen, a bit a token; of all where it is left out.
     */
    setMask(sequence: number, mask?: Uint8Array | number[] | null): void;
    /**
     * What the sequence has fired by layer and site, as JSON; `null` where that is not counted.
     */
    spikeCounts(sequence: number): string;
    /**
     * The same of all layers and sites together.
     */
    spikeTotals(sequence: number): string;
    /**
     * Bytes of a state of so many tokens.
     */
    stateBytes(tokens: number): number;
    /**
     * Bytes of a state file's header.
     */
    stateHeaderBytes(): number;
    /**
     * How the ranks' parts lie in a state file without the rows of tokens in pages before `fromPage`, as JSON; `null` while its first bytes
     * are too few.
     */
    stateRuns(first_bytes: Uint8Array, from_page: number): string;
    /**
     * `[sequence, count, sequence, count, ...]`
     */
    step(plan: Uint32Array | number[]): void;
    /**
     * The logits of the next wanted token, over the whole vocabulary; true after the last.
     */
    takeLogits(pass: number, logits: Uint8Array): boolean;
    /**
     * Scores of prompt tokens, as JSON.
     */
    takePromptLogprobs(sequence: number): string;
    /**
     * How many tokens' logits a pass wants.
     */
    wanted(pass: number): number;
}

/**
 * Reads a GGUF's header and no further.
 */
export class ModelInspector {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * JSON of the model, with its state's sizes at these contexts.
     */
    describe(contexts: Uint32Array | number[]): string;
    /**
     * Of a file that is about to come.
     */
    constructor();
    /**
     * JSON of what an engine that holds this part of the model (JSON) takes: weights, buffers of passes of so many tokens, and one state of so
     * many tokens with int8 keys and values.
     */
    partSize(cut_json: string, pass_tokens: number, tokens: number): string;
    /**
     * The file's next bytes; whether the header is whole.
     */
    push(chunk: Uint8Array): boolean;
}

/**
 * Streams a GGUF in.
 */
export class ModelLoader {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * After the last byte.
     */
    finish(): Engine;
    /**
     * Where the next byte lies that is needed; infinite once nothing more is.
     */
    neededFrom(): number;
    /**
     * Options as JSON: `{ kvType, memoryLimitBytes, spikes, modelDigest, tokenizerDigest, rank, ranks }`. Several ranks have an exchange.
     */
    constructor(options_json: string, exchange?: RankExchange | null);
    /**
     * Takes the first bytes of the room as the file's next.
     */
    pushRoom(bytes: number): void;
    /**
     * The file's next bytes.
     */
    push(chunk: Uint8Array): void;
    /**
     * Room for the file's next bytes in this engine's own memory, where no copy of them is made: of use until the next call of anything.
     */
    room(): Uint8Array;
    /**
     * Passes over bytes that are not needed.
     */
    skip(bytes: number): void;
}

/**
 * `scalar`, `simd128` or `relaxed`: what this package was built for.
 */
export function kernel(): string;

/**
 * Where this package's kernels compute another bit than the plain loops that define them, on this host; undefined where nowhere.
 */
export function kernelDifference(): string | undefined;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly __wbg_engine_free: (a: number, b: number) => void;
    readonly __wbg_modelinspector_free: (a: number, b: number) => void;
    readonly __wbg_modelloader_free: (a: number, b: number) => void;
    readonly engine_accept: (a: number, b: number, c: number) => [number, number];
    readonly engine_beginPass: (a: number, b: number, c: number, d: number) => [number, number, number];
    readonly engine_beginRestore: (a: number, b: number, c: any) => [number, number];
    readonly engine_beginSave: (a: number, b: number, c: number, d: number, e: number) => [number, number, number];
    readonly engine_close: (a: number, b: number) => [number, number];
    readonly engine_describe: (a: number) => [number, number, number, number];
    readonly engine_describeState: (a: number, b: any) => [number, number, number, number];
    readonly engine_dropPass: (a: number, b: number) => [number, number];
    readonly engine_embedPart: (a: number, b: any) => [number, number, number];
    readonly engine_endPass: (a: number, b: number, c: any) => [number, number, number];
    readonly engine_endRestore: (a: number, b: number) => [number, number, number];
    readonly engine_endSave: (a: number, b: number) => [number, number];
    readonly engine_evict: (a: number, b: number) => [number, number];
    readonly engine_feed: (a: number, b: number, c: number, d: number) => [number, number];
    readonly engine_force: (a: number, b: number, c: number, d: number) => [number, number];
    readonly engine_forgetGuest: (a: number, b: number, c: number) => void;
    readonly engine_forgetOwner: (a: number, b: number) => void;
    readonly engine_fork: (a: number, b: number) => [number, number, number];
    readonly engine_forkGuest: (a: number, b: number, c: number, d: number) => [number, number];
    readonly engine_freeStateBytes: (a: number) => number;
    readonly engine_guest: (a: number, b: number, c: number) => [number, number, number];
    readonly engine_joinRows: (a: number, b: any, c: number, d: number, e: any) => [number, number, number];
    readonly engine_laySinks: (a: number, b: any) => [number, number, number];
    readonly engine_limitPass: (a: number, b: number) => void;
    readonly engine_logitsPart: (a: number, b: any, c: number, d: number) => [number, number, number];
    readonly engine_memoryBytes: (a: number) => number;
    readonly engine_open: (a: number, b: number, c: number) => [number, number, number];
    readonly engine_partBytes: (a: number, b: number, c: number, d: number) => [number, number, number];
    readonly engine_partOfFile: (a: number, b: number, c: number, d: any, e: number) => [number, number, number, number];
    readonly engine_passOn: (a: number, b: any) => [number, number, number];
    readonly engine_pending: (a: number, b: number) => [number, number, number];
    readonly engine_pushState: (a: number, b: number, c: any) => [number, number];
    readonly engine_readLogits: (a: number, b: number, c: number) => [number, number, number];
    readonly engine_readSaved: (a: number, b: number, c: number) => [number, number, number];
    readonly engine_salientPositions: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly engine_sample: (a: number, b: number) => [number, number, number, number];
    readonly engine_sequenceBytes: (a: number, b: number) => [number, number, number];
    readonly engine_setMask: (a: number, b: number, c: number, d: number) => [number, number];
    readonly engine_spikeCounts: (a: number, b: number) => [number, number, number, number];
    readonly engine_spikeTotals: (a: number, b: number) => [number, number, number, number];
    readonly engine_stateBytes: (a: number, b: number) => number;
    readonly engine_stateHeaderBytes: (a: number) => number;
    readonly engine_stateRuns: (a: number, b: any, c: number) => [number, number, number, number];
    readonly engine_step: (a: number, b: number, c: number) => [number, number];
    readonly engine_takeLogits: (a: number, b: number, c: any) => [number, number, number];
    readonly engine_takePromptLogprobs: (a: number, b: number) => [number, number, number, number];
    readonly engine_wanted: (a: number, b: number) => [number, number, number];
    readonly kernel: () => [number, number];
    readonly kernelDifference: () => [number, number];
    readonly modelinspector_describe: (a: number, b: number, c: number) => [number, number, number, number];
    readonly modelinspector_new: () => number;
    readonly modelinspector_partSize: (a: number, b: number, c: number, d: number, e: number) => [number, number, number, number];
    readonly modelinspector_push: (a: number, b: any) => [number, number, number];
    readonly modelloader_finish: (a: number) => [number, number, number];
    readonly modelloader_neededFrom: (a: number) => number;
    readonly modelloader_new: (a: number, b: number, c: number) => [number, number, number];
    readonly modelloader_push: (a: number, b: any) => [number, number];
    readonly modelloader_pushRoom: (a: number, b: number) => [number, number];
    readonly modelloader_room: (a: number) => [number, number, number];
    readonly modelloader_skip: (a: number, b: number) => [number, number];
    readonly __wbindgen_exn_store: (a: number) => void;
    readonly __externref_table_alloc: () => number;
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __externref_table_dealloc: (a: number) => void;
    readonly __wbindgen_malloc: (a: number, b: number) => number;
    readonly __wbindgen_free: (a: number, b: number, c: number) => void;
    readonly __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_start: () => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path?: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;
