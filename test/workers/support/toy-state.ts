/**
 * The toy model's state, and the state file that holds it (`wasm/STATE_FORMAT.md`, version 3): one group of a window of 64 tokens with 4 kept
 * ones, whose rows hold a token, its position and the digest of the text up to it, and a head that holds the digest of all that has left the
 * window. What the toy says next depends on every bit of it, so that a wrong file, a stale one or one that was cut wrongly shows.
 */
import { ServiceError } from "../../../workers/contracts/errors.ts";
import { tinyManifest } from "./tiny-tokenizer.ts";

export const toyWindow = 64;
export const toyKept = 4;
export const toyRowBytes = 16;
export const toyHeaderBytes = 144;
const headBytesPerToken = 16;
const pageTokens = 32;
const version = 3;
const magic = "SBST";
const fingerprint = "7".repeat(64);

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
    const [leaving] = this.#rows.splice(toyKept, 1);
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
  const rows = state.rows.filter(([, position]) => position >= fromPage * pageTokens);
  const file = new Uint8Array(toyHeaderBytes + headBytes(state.tokens) + toyRowBytes * rows.length);
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode(magic));
  view.setUint32(4, version, true);
  for (const [at, digest] of digests.entries()) file.set(bytesOf(digest), 8 + 32 * at);
  view.setBigUint64(104, BigInt(state.tokens), true);
  view.setUint32(116, toyKept, true);
  view.setBigUint64(124, BigInt(headBytes(state.tokens)), true);
  for (const [at, value] of [1, toyWindow, toyRowBytes].entries()) view.setUint32(132 + 4 * at, value, true);
  const words = [...(headBytes(state.tokens) === 0 ? [] : state.gone), ...rows.flat()];
  for (const [at, word] of words.entries()) view.setUint32(toyHeaderBytes + 4 * at, word, true);
  return file;
}

/** @throws ServiceError `state_rejected` where it is not a whole file of this model. */
export function decode(file: Uint8Array): ToyState {
  if (file.length < toyHeaderBytes) throw rejected("bytes", `must be at least ${String(toyHeaderBytes)}`, file.length);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const word = (at: number) => view.getUint32(at, true);
  const tokens = Number(view.getBigUint64(104, true));
  for (const [name, actual, wanted] of [
    ["magic", new TextDecoder().decode(file.subarray(0, 4)), magic],
    ["version", word(4), version],
    ...["fingerprint", "model digest", "tokenizer digest"].map(
      (name, at) => [name, hex(file.subarray(8 + 32 * at, 40 + 32 * at)), digests[at]] as const,
    ),
    ["learned sinks", word(112), 0],
    ["kept tokens", word(116), toyKept],
    ["types", word(120), 0],
    ["head bytes", Number(view.getBigUint64(124, true)), headBytes(tokens)],
    ["groups", word(132), 1],
    ["window", word(136), toyWindow],
    ["bytes of a token", word(140), toyRowBytes],
    ["bytes", file.length, toyHeaderBytes + toyStateBytes(tokens)],
  ] as const)
    if (actual !== wanted) throw rejected(name, `must be ${String(wanted)}`, actual);
  const words = Array.from({ length: toyStateBytes(tokens) / 4 }, (_unused, at) => word(toyHeaderBytes + 4 * at));
  const head = headBytes(tokens) / 4;
  const rows = Array.from({ length: seen(tokens) }, (_unused, at) => words.slice(head + 4 * at, head + 4 * at + 4) as unknown as Row);
  return ToyState.from(tokens, head === 0 ? [0, 0, 0, 0] : words.slice(0, head), rows);
}

/** What a state takes once it has read so many tokens: no more than that of the 68th. */
export function toyStateBytes(tokens: number): number {
  return headBytes(tokens) + toyRowBytes * seen(tokens);
}

/** A good hash of 32 bits. */
export function mix(value: number): number {
  let state = (value + 0x9e3779b9) >>> 0;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

const digests = [fingerprint, tinyManifest.sha256, tinyManifest.tokenizerSha256];

/** Tokens that the next one sees: those of the window, and the kept ones before it. */
function seen(tokens: number): number {
  const from = Math.max(0, tokens + 1 - toyWindow);
  return Math.min(toyKept, from) + tokens - from;
}

const headBytes = (tokens: number) => (tokens > seen(tokens) ? headBytesPerToken : 0);

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
