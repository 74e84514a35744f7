/**
 * A conversation as a sealed file, `SBSF` version 1, for workerd, Node and browsers alike: `SBSF`, u32 version, u32 length of the header, the header
 * as JSON; then pieces: u32 length, 12 bytes of nonce, AES-256-GCM ciphertext of at most 1 MiB. A piece's associated data is the SHA-256 of all
 * before the first piece, its number (u32) and whether it is the last (u8), so that nothing can be changed, cut, added or put elsewhere. Inside: u32
 * length and JSON of the transcript, u32 count and the tokens (u32), then the state file, if any. Numbers are little-endian.
 */
import { ServiceError } from "../../contracts/errors.ts";
import { snapshotInvalid, snapshotSealed } from "../failures.ts";
import type { FileKey } from "./session-file-key.ts";

export interface FileHeader {
  /** sha256 of the weights file and of the tokenizer, hex. */
  readonly model: string;
  readonly tokenizer: string;
  readonly tokens: number;
  /** Unix seconds. */
  readonly created: number;
  readonly sealed: SealedBy;
}

/** `salt` is base64. */
export type SealedBy =
  | { readonly by: "tenant"; readonly key: string; readonly salt: string }
  | { readonly by: "passphrase"; readonly kdf: "PBKDF2-SHA-256"; readonly rounds: number; readonly salt: string };

export interface FileContent {
  readonly header: FileHeader;
  /** JSON. */
  readonly transcript: unknown;
  readonly tokens: Uint32Array;
  readonly state: ReadableStream<Uint8Array> | null;
}

const MAGIC = "SBSF";
const VERSION = 1;
const PIECE_BYTES = 1 << 20;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MOST_HEADER_BYTES = 64 << 10;
/** Far beyond what people say, and what an isolate has room for beside it. */
const MOST_TRANSCRIPT_BYTES = 8 << 20;
const MOST_TOKENS = 1 << 22;
const encoder = new TextEncoder();

export function sealSessionFile(content: FileContent, key: FileKey): ReadableStream<Uint8Array> {
  const parts = sealed(content, key);
  return new ReadableStream(
    {
      type: "bytes",
      async pull(controller: ReadableByteStreamController) {
        const { done, value } = await parts.next();
        if (done !== true) controller.enqueue(value);
        else {
          controller.close();
          controller.byobRequest?.respond(0);
        }
      },
      async cancel() {
        await parts.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

/** @throws ServiceError `snapshot_invalid` where it is no such file, `snapshot_sealed` where the key does not open it or it was changed. */
export async function openSessionFile(
  file: ReadableStream<Uint8Array>,
  keyFor: (header: FileHeader) => Promise<FileKey>,
): Promise<FileContent> {
  const bytes = new ByteSource(file);
  const start = await bytes.take(12, "its header");
  if (new TextDecoder().decode(start.subarray(0, 4)) !== MAGIC) throw invalid(`it must start with '${MAGIC}'`);
  const view = new DataView(start.buffer, start.byteOffset);
  if (view.getUint32(4, true) !== VERSION)
    throw invalid(`its version must be ${String(VERSION)}; it is ${String(view.getUint32(4, true))}`);
  const length = view.getUint32(8, true);
  if (length > MOST_HEADER_BYTES) throw invalid(`its header may have ${String(MOST_HEADER_BYTES)} bytes; it has ${String(length)}`);
  const json = await bytes.take(length, "its header");
  const header = parseHeader(json);
  const bound = await digest(joined([start, json]));
  const plain = new ByteSource(toStream(opened(bytes, await keyFor(header), bound)));
  const transcriptBytes = new DataView((await plain.take(4, "its transcript")).buffer).getUint32(0, true);
  if (transcriptBytes > MOST_TRANSCRIPT_BYTES) throw invalid(`its transcript may have ${String(MOST_TRANSCRIPT_BYTES)} bytes`);
  const transcript: unknown = JSON.parse(new TextDecoder().decode(await plain.take(transcriptBytes, "its transcript")));
  const count = new DataView((await plain.take(4, "its tokens")).buffer).getUint32(0, true);
  if (count > MOST_TOKENS || count !== header.tokens)
    throw invalid(`it must hold the ${String(header.tokens)} tokens that its header names`);
  const tokens = new Uint32Array((await plain.take(4 * count, "its tokens")).slice().buffer);
  const rest = await plain.next();
  return { header, transcript, tokens, state: rest === undefined ? null : toStream(following(rest, plain)) };
}

async function* sealed({ header, transcript, tokens, state }: FileContent, key: FileKey): AsyncGenerator<Uint8Array, void, undefined> {
  const json = encoder.encode(JSON.stringify(header));
  const start = joined([encoder.encode(MAGIC), u32(VERSION), u32(json.length), json]);
  // First, because a byte stream takes the buffer that it is given away from the giver.
  const bound = await digest(start);
  yield start;
  const text = encoder.encode(JSON.stringify(transcript));
  const tokenBytes = new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  let number = 0;
  let held = joined([u32(text.length), text, u32(tokens.length), tokenBytes]);
  const reader = state?.getReader();
  try {
    for (let ended = reader === undefined; ;) {
      while (!ended && held.length <= PIECE_BYTES) {
        const part = await reader?.read();
        if (part?.done === false) held = joined([held, part.value]);
        else ended = true;
      }
      const last = ended && held.length <= PIECE_BYTES;
      yield await sealPiece(held.subarray(0, PIECE_BYTES), key, bound, number++, last);
      if (last) return;
      held = held.slice(PIECE_BYTES);
    }
  } finally {
    await reader?.cancel().catch(() => undefined);
  }
}

async function sealPiece(plain: Uint8Array, key: FileKey, bound: Uint8Array, number: number, last: boolean): Promise<Uint8Array> {
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const algorithm = { name: "AES-GCM", iv, additionalData: associated(bound, number, last) };
  const cipher = new Uint8Array(await crypto.subtle.encrypt(algorithm, key, plain));
  return joined([u32(cipher.length), iv, cipher]);
}

/** The plain bytes of the pieces. Which one is the last is known by there being nothing after it, and by its seal. */
async function* opened(bytes: ByteSource, key: FileKey, bound: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let number = 0; ; number++) {
    const start = await bytes.take(4 + NONCE_BYTES, "a piece");
    const length = new DataView(start.buffer, start.byteOffset).getUint32(0, true);
    if (length < TAG_BYTES || length > PIECE_BYTES + TAG_BYTES) throw invalid(`piece ${String(number)} has ${String(length)} bytes`);
    const cipher = await bytes.take(length, "a piece");
    const last = await bytes.isAtEnd();
    const algorithm = { name: "AES-GCM", iv: start.slice(4), additionalData: associated(bound, number, last) };
    try {
      yield new Uint8Array(await crypto.subtle.decrypt(algorithm, key, cipher));
    } catch {
      throw new ServiceError(snapshotSealed("The file can't be opened: another key or passphrase sealed it, or it was changed."));
    }
    if (last) return;
  }
}

function associated(bound: Uint8Array, number: number, last: boolean): Uint8Array {
  return joined([bound, u32(number), Uint8Array.of(last ? 1 : 0)]);
}

function parseHeader(json: Uint8Array): FileHeader {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(json));
  } catch {
    throw invalid("its header is not JSON");
  }
  const { model, tokenizer, tokens, created, sealed: by } = (value ?? {}) as Partial<FileHeader>;
  const isDigest = (text: unknown): text is string => typeof text === "string" && /^[0-9a-f]{64}$/.test(text);
  if (!isDigest(model) || !isDigest(tokenizer)) throw invalid("its header must name model and tokenizer by their digests");
  if (!Number.isInteger(tokens) || !Number.isInteger(created) || by === undefined)
    throw invalid("its header must have tokens, created and sealed");
  return { model, tokenizer, tokens: tokens ?? 0, created: created ?? 0, sealed: by };
}

/** Bytes of a stream in the amounts that are asked for. */
class ByteSource {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #held: Uint8Array = new Uint8Array();

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  async take(length: number, what: string): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let missing = length;
    while (missing > 0) {
      if (this.#held.length === 0) {
        const part = await this.#reader.read();
        if (part.done) throw invalid(`it ends within ${what}`);
        this.#held = part.value;
      }
      const part = this.#held.subarray(0, missing);
      parts.push(part);
      missing -= part.length;
      this.#held = this.#held.subarray(part.length);
    }
    return joined(parts);
  }

  /** What comes next, however much; undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#held.length === 0) {
      const part = await this.#reader.read();
      if (part.done) return undefined;
      this.#held = part.value;
    }
    const held = this.#held;
    this.#held = new Uint8Array();
    return held;
  }

  async isAtEnd(): Promise<boolean> {
    const next = await this.next();
    this.#held = next ?? new Uint8Array();
    return next === undefined;
  }
}

async function* following(first: Uint8Array, rest: ByteSource): AsyncGenerator<Uint8Array, void, undefined> {
  for (let part: Uint8Array | undefined = first; part !== undefined; part = await rest.next()) yield part;
}

function toStream(parts: AsyncGenerator<Uint8Array, void, undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      type: "bytes",
      async pull(controller: ReadableByteStreamController) {
        let part = await parts.next();
        while (part.done !== true && part.value.length === 0) part = await parts.next();
        if (part.done !== true) controller.enqueue(part.value.slice());
        else {
          controller.close();
          controller.byobRequest?.respond(0);
        }
      },
    },
    { highWaterMark: 0 },
  );
}

async function digest(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function invalid(what: string): ServiceError {
  return new ServiceError(snapshotInvalid(`The session file is not valid: ${what}.`));
}
