/**
 * A conversation as a sealed file, `SBSF` version 1, 2 or 3 (`header.ts` says which is written), for workerd, Node and browsers alike: the plain header (`header.ts`), then
 * chunks: u32 length, 12 bytes of nonce, AES-256-GCM ciphertext of at most 1 MiB. A chunk's associated data is the SHA-256 of all before the first
 * chunk, its number (u32) and whether it is the last (u8), so that nothing can be changed, cut, added or put elsewhere. Inside: u32 length and
 * JSON of the transcript, u32 count and the tokens (u32), then the state file, if any. Numbers are little-endian.
 */
import { ServiceError } from "../contracts/errors.ts";
import { ByteReader } from "../state-file/byte-reader.ts";
import { parseExact } from "../encoding/exact-json.ts";
import { headerBytes, invalidFile, takeHeader, type FileHeader, type FileVersion } from "./header.ts";
import type { FileKey } from "./passphrase-key.ts";
import { joined } from "../encoding/joined.ts";
import { fileSealed, fileTooLong } from "./failures.ts";
import { mostConversationTokens } from "./limits.ts";

export interface FileContent {
  readonly header: FileHeader;
  /** JSON. */
  readonly transcript: unknown;
  readonly tokens: Uint32Array;
  readonly state: ReadableStream<Uint8Array> | null;
  /** By what the transcript has; 1 where it is left out. */
  readonly version?: FileVersion;
}

const chunkBytes = 1 << 20;
const nonceBytes = 12;
const tagBytes = 16;
const bytesPerToken = Uint32Array.BYTES_PER_ELEMENT;
/** Far beyond what people say, and what an isolate has room for beside it. */
const mostTranscriptBytes = 8 << 20;

/** Chunks are made as they are read. @throws ServiceError `invalid_request` for what could not be opened again. */
export function sealSessionFile(content: FileContent, key: FileKey): ReadableStream<Uint8Array> {
  const transcript = new TextEncoder().encode(JSON.stringify(content.transcript));
  for (const [what, amount, most] of [
    ["bytes of transcript", transcript.length, mostTranscriptBytes],
    ["tokens", content.tokens.length, mostConversationTokens],
  ] as const)
    if (amount > most) throw fileTooLong(`A session file may have ${String(most)} ${what}; this one would have ${String(amount)}.`);
  return byteStream(sealed(content, transcript, key));
}

/**
 * The state is read and opened as its reader goes on; what is wrong further on breaks it.
 * @throws ServiceError `snapshot_invalid` where it is no such file, `snapshot_sealed` where the key does not open it or it was changed.
 */
export async function openSessionFile(
  file: ReadableStream<Uint8Array>,
  keyFor: (header: FileHeader) => Promise<FileKey>,
): Promise<FileContent> {
  const reader = new ByteReader(file);
  try {
    const { header, bytes } = await takeHeader(reader);
    const plain = new ByteReader(byteStream(opened(reader, await keyFor(header), await digest(bytes))));
    const transcript = await takeTranscript(plain);
    const tokens = await takeTokens(plain, header);
    return { header, transcript, tokens, state: (await plain.ended()) ? null : byteStream(plain.rest()) };
  } catch (cause) {
    await reader.cancel(cause);
    if (cause instanceof RangeError) throw invalidFile(cause.message);
    // What breaks a stream is no error of a kind that mistakes in code have.
    throw cause instanceof ServiceError || cause instanceof TypeError ? cause : invalidFile("its upload broke off");
  }
}

async function takeTranscript(plain: ByteReader): Promise<unknown> {
  const length = await takeNumber(plain);
  if (length > mostTranscriptBytes) throw invalidFile(`its transcript may have ${String(mostTranscriptBytes)} bytes`);
  const text = new TextDecoder().decode(await plain.exact(length));
  try {
    return parseExact(text);
  } catch {
    throw invalidFile("its transcript is not JSON");
  }
}

async function takeTokens(plain: ByteReader, header: FileHeader): Promise<Uint32Array> {
  const count = await takeNumber(plain);
  if (count > mostConversationTokens || count !== header.tokens)
    throw invalidFile(
      `it must hold the ${String(header.tokens)} tokens that its header names, at most ${String(mostConversationTokens)}; it holds ${String(count)}`,
    );
  return new Uint32Array((await plain.exact(bytesPerToken * count)).buffer);
}

async function takeNumber(plain: ByteReader): Promise<number> {
  return new DataView((await plain.exact(4)).buffer).getUint32(0, true);
}

async function* sealed(
  { header, tokens, state, version }: FileContent,
  transcript: Uint8Array,
  key: FileKey,
): AsyncGenerator<Uint8Array, void, undefined> {
  const start = headerBytes(header, version);
  // First, because a byte stream takes the buffer that it is given away from the giver.
  const bound = await digest(start);
  yield start;
  const tokenBytes = new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  let held = joined([u32(transcript.length), transcript, u32(tokens.length), tokenBytes]);
  const reader = state?.getReader();
  try {
    let ended = reader === undefined;
    for (let number = 0; ; number++) {
      while (!ended && held.length <= chunkBytes) {
        const chunk = await reader?.read();
        if (chunk?.done === false) held = joined([held, chunk.value]);
        else ended = true;
      }
      const last = ended && held.length <= chunkBytes;
      yield await sealChunk(held.subarray(0, chunkBytes), key, bound, number, last);
      if (last) return;
      held = held.slice(chunkBytes);
    }
  } finally {
    await reader?.cancel().catch(() => undefined);
  }
}

async function sealChunk(plain: Uint8Array, key: FileKey, bound: Uint8Array, number: number, last: boolean): Promise<Uint8Array> {
  const iv = crypto.getRandomValues(new Uint8Array(nonceBytes));
  const algorithm = { name: "AES-GCM", iv, additionalData: associated(bound, number, last) };
  const cipher = new Uint8Array(await crypto.subtle.encrypt(algorithm, key, plain));
  return joined([u32(cipher.length), iv, cipher]);
}

/** The plain bytes of the chunks. Which one is the last is known by there being nothing after it, and by its seal. */
async function* opened(file: ByteReader, key: FileKey, bound: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for (let number = 0, last = false; !last; number++) {
      const start = await file.exact(4 + nonceBytes);
      const length = new DataView(start.buffer).getUint32(0, true);
      if (length < tagBytes || length > chunkBytes + tagBytes) throw invalidFile(`chunk ${String(number)} has ${String(length)} bytes`);
      const cipher = await file.exact(length);
      last = await file.ended();
      yield await openChunk(cipher, start.slice(4), key, associated(bound, number, last));
    }
  } finally {
    await file.cancel("no more is read");
  }
}

async function openChunk(cipher: Uint8Array, iv: Uint8Array, key: FileKey, additionalData: Uint8Array): Promise<Uint8Array> {
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, key, cipher));
  } catch {
    throw fileSealed("The file can't be opened: another key or passphrase sealed it, or it was changed.");
  }
}

function associated(bound: Uint8Array, number: number, last: boolean): Uint8Array {
  return joined([bound, u32(number), Uint8Array.of(last ? 1 : 0)]);
}

/** Breaks with the very error that its source breaks with. */
function byteStream(chunks: AsyncGenerator<Uint8Array, void, undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      type: "bytes",
      async pull(controller: ReadableByteStreamController) {
        let chunk = await chunks.next();
        while (chunk.done !== true && chunk.value.length === 0) chunk = await chunks.next();
        if (chunk.done !== true) controller.enqueue(chunk.value);
        else {
          controller.close();
          controller.byobRequest?.respond(0);
        }
      },
      async cancel() {
        await chunks.return(undefined);
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
