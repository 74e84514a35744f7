/**
 * The toy model's memory, and the state file that holds it (`wasm/STATE_FORMAT.md`, version 3): one group of a window of 64 tokens with 4 kept
 * ones, whose rows hold a token, its position and the digest of the text up to it, and a head that holds the digest of all that has left the
 * window. What the toy says next depends on every bit of it, so that a wrong file, a stale one or one that was cut wrongly shows.
 */
import { ServiceError } from "../../../workers/contracts/errors.ts";
import { tinyManifest } from "./tiny-tokenizer.ts";

export const TOY_WINDOW = 64;
export const TOY_KEPT = 4;
export const TOY_ROW_BYTES = 16;
export const TOY_HEADER_BYTES = 144;
const HEAD_BYTES = 16;
const PAGE_TOKENS = 32;
const VERSION = 3;
const MAGIC = "SBST";
const FINGERPRINT = "7".repeat(64);

/** Token, position, and two halves of the digest of the text up to it. */
type Row = readonly [id: number, position: number, high: number, low: number];

export class ToyState {
  #tokens = 0;
  /** Of tokens still seen, in order. */
  #rows: Row[] = [];
  /** Folded over the rows that have left. */
  #gone: readonly number[] = [0, 0, 0, 0];

  static of(tokens: Iterable<number>): ToyState {
    const state = new ToyState();
    for (const id of tokens) state.read(id);
    return state;
  }

  /** From a file's parts. */
  static from(tokens: number, gone: readonly number[], rows: readonly Row[]): ToyState {
    const state = new ToyState();
    state.#tokens = tokens;
    state.#gone = gone;
    state.#rows = [...rows];
    return state;
  }

  get tokens(): number {
    return this.#tokens;
  }

  get gone(): readonly number[] {
    return this.#gone;
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  read(id: number): void {
    const [, , high, low] = this.#rows.at(-1) ?? [0, 0, 0, 0];
    this.#rows.push([id, this.#tokens, mix(high ^ id), mix(low + mix(id + this.#tokens))]);
    this.#tokens += 1;
    if (this.#rows.length <= seen(this.#tokens)) return;
    const [leaving] = this.#rows.splice(TOY_KEPT, 1);
    this.#gone = this.#gone.map((lane, at) => mix(lane + (leaving?.[at] ?? 0)));
  }

  /** Of everything that it holds, bit for bit. */
  get digest(): number {
    return [this.#tokens, ...this.#gone, ...this.#rows.flat()].reduce((digest, word) => mix(digest ^ word), 0);
  }
}

/** The file of a text's state, without rows of tokens in pages of 32 before this one. */
export function encode(tokens: Iterable<number>, fromPage = 0): Uint8Array<ArrayBuffer> {
  return encodeState(ToyState.of(tokens), fromPage);
}

export function encodeState(state: ToyState, fromPage = 0): Uint8Array<ArrayBuffer> {
  const rows = state.rows.filter(([, position]) => position >= fromPage * PAGE_TOKENS);
  const file = new Uint8Array(TOY_HEADER_BYTES + headBytes(state.tokens) + TOY_ROW_BYTES * rows.length);
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode(MAGIC));
  view.setUint32(4, VERSION, true);
  for (const [at, digest] of digests.entries()) file.set(bytesOf(digest), 8 + 32 * at);
  view.setBigUint64(104, BigInt(state.tokens), true);
  view.setUint32(116, TOY_KEPT, true);
  view.setBigUint64(124, BigInt(headBytes(state.tokens)), true);
  for (const [at, value] of [1, TOY_WINDOW, TOY_ROW_BYTES].entries()) view.setUint32(132 + 4 * at, value, true);
  const words = [...(headBytes(state.tokens) === 0 ? [] : state.gone), ...rows.flat()];
  for (const [at, word] of words.entries()) view.setUint32(TOY_HEADER_BYTES + 4 * at, word, true);
  return file;
}

/** @throws ServiceError `state_rejected` where it is not a whole file of this model. */
export function decode(file: Uint8Array): ToyState {
  if (file.length < TOY_HEADER_BYTES) throw rejected("bytes", `must be at least ${String(TOY_HEADER_BYTES)}`, file.length);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const word = (at: number) => view.getUint32(at, true);
  const tokens = Number(view.getBigUint64(104, true));
  for (const [name, actual, wanted] of [
    ["magic", new TextDecoder().decode(file.subarray(0, 4)), MAGIC],
    ["version", word(4), VERSION],
    ...["fingerprint", "model digest", "tokenizer digest"].map(
      (name, at) => [name, hex(file.subarray(8 + 32 * at, 40 + 32 * at)), digests[at]] as const,
    ),
    ["learned sinks", word(112), 0],
    ["kept tokens", word(116), TOY_KEPT],
    ["types", word(120), 0],
    ["head bytes", Number(view.getBigUint64(124, true)), headBytes(tokens)],
    ["groups", word(132), 1],
    ["window", word(136), TOY_WINDOW],
    ["bytes of a token", word(140), TOY_ROW_BYTES],
    ["bytes", file.length, TOY_HEADER_BYTES + toyStateBytes(tokens)],
  ] as const)
    if (actual !== wanted) throw rejected(name, `must be ${String(wanted)}`, actual);
  const words = Array.from({ length: toyStateBytes(tokens) / 4 }, (_unused, at) => word(TOY_HEADER_BYTES + 4 * at));
  const head = headBytes(tokens) / 4;
  const rows = Array.from({ length: seen(tokens) }, (_unused, at) => words.slice(head + 4 * at, head + 4 * at + 4) as unknown as Row);
  return ToyState.from(tokens, head === 0 ? [0, 0, 0, 0] : words.slice(0, head), rows);
}

/** What a state takes once it has read so many tokens: no more than that of the 68th. */
export function toyStateBytes(tokens: number): number {
  return headBytes(tokens) + TOY_ROW_BYTES * seen(tokens);
}

/** A good hash of 32 bits. */
export function mix(value: number): number {
  let state = (value + 0x9e3779b9) >>> 0;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

const digests = [FINGERPRINT, tinyManifest.sha256, tinyManifest.tokenizerSha256];

/** Tokens that the next one sees: those of the window, and the kept ones before it. */
function seen(tokens: number): number {
  const from = Math.max(0, tokens + 1 - TOY_WINDOW);
  return Math.min(TOY_KEPT, from) + tokens - from;
}

const headBytes = (tokens: number) => (tokens > seen(tokens) ? HEAD_BYTES : 0);

function bytesOf(digest: string): Uint8Array {
  return Uint8Array.from(digest.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function rejected(field: string, rule: string, value: unknown): ServiceError {
  const message = `the state's ${field} ${rule}; it is ${String(value)}`;
  return new ServiceError({ code: "state_rejected", status: 503, message, retryable: true });
}
