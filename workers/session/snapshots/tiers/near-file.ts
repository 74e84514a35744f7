/** A whole state file as one sealed value: its length (u64), then chunks of it. */
import { ByteReader } from "../../../state-file/byte-reader.ts";
import type { ModelIdentity } from "../contract.ts";
import { chunkBytes, chunkCount, SealBroken, sealedBytes, sealedChunkBytes, type ChunkContext, type Sealer } from "../seal/seal.ts";
import { cutHeader, readHeader } from "../../../state-file/header.ts";
import { rowBytes } from "../../../state-file/layout.ts";

const lengthBytes = 8;

export interface NearFile {
  readonly id: string;
  readonly identity: ModelIdentity;
  readonly tokens: number;
}

export const sharedBytes = (fileBytes: number) => lengthBytes + sealedBytes(fileBytes);

export async function* sealFile(
  sealer: Sealer,
  file: NearFile,
  fileBytes: number,
  plain: ReadableStream<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new ByteReader(plain);
  try {
    const length = new Uint8Array(lengthBytes);
    new DataView(length.buffer).setBigUint64(0, BigInt(fileBytes), true);
    yield length;
    const context = contextOf(file, fileBytes);
    for (let number = 0; number < context.count; number++)
      yield await sealer.seal(await reader.exact(Math.min(chunkBytes, fileBytes - number * chunkBytes)), { ...context, number });
  } finally {
    await reader.cancel("done");
  }
}

/** @throws SealBroken @throws RangeError where it is too short. */
export async function* openFile(
  sealer: Sealer,
  file: NearFile,
  sealed: ReadableStream<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new ByteReader(sealed);
  try {
    const length = await reader.exact(lengthBytes);
    const fileBytes = Number(new DataView(length.buffer).getBigUint64(0, true));
    const context = contextOf(file, fileBytes);
    for (let number = 0; number < context.count; number++)
      yield await sealer.open(await reader.exact(sealedChunkBytes(fileBytes, number)), { ...context, number });
    if (!(await reader.ended())) throw new SealBroken("it has more bytes than its length says");
  } finally {
    await reader.cancel("done");
  }
}

/** The file of an earlier position out of one that can be cut. */
export async function* cutFile(plain: ReadableStream<Uint8Array>, tokens: number): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new ByteReader(plain);
  try {
    const whole = await readHeader(reader);
    const header = cutHeader(whole, tokens + whole.learnedSinks);
    yield header.bytes.slice();
    for (const group of header.groups) {
      const kept = rowBytes({ ...header, groups: [group] });
      yield* chunks(reader, kept);
      await skip(reader, rowBytes({ ...whole, groups: [group] }) - kept);
    }
  } finally {
    await reader.cancel("done");
  }
}

async function* chunks(reader: ByteReader, bytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes; at += chunkBytes) yield await reader.exact(Math.min(chunkBytes, bytes - at));
}

async function skip(reader: ByteReader, bytes: number): Promise<void> {
  for (let at = 0; at < bytes; at += chunkBytes) await reader.exact(Math.min(chunkBytes, bytes - at));
}

function contextOf({ id, identity, tokens }: NearFile, fileBytes: number): Omit<ChunkContext, "number"> {
  // A length beyond exact numbers would make a wrong count of chunks.
  if (!Number.isSafeInteger(fileBytes)) throw new SealBroken("its length is not valid");
  return { kind: "file", name: id, identity, tokens: `${String(tokens)}:${String(fileBytes)}`, count: chunkCount(fileBytes) };
}
