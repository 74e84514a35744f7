/** Where the parts of a GGUF lie, without decoding them: metadata entries and tensors as runs of bytes (as ggml specifies GGUF, version 3). */
import { closeSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { alignmentKey, defaultAlignment, readHeader, type HeaderEntry } from "./header.ts";

export type GgufEntry = HeaderEntry;

export interface GgufTensor {
  readonly name: string;
  /** Columns first, as in the file. */
  readonly dimensions: readonly number[];
  readonly type: number;
  readonly data: Buffer;
}

export interface GgufLayout {
  readonly entries: readonly GgufEntry[];
  readonly tensors: readonly GgufTensor[];
}

const magic = "GGUF";
const version = 3;

/** @throws Error that names the file, and what is wrong with it. */
export function readGguf(file: Buffer, path: string): GgufLayout {
  try {
    const { entries, tensors } = readHeader(file, file.length);
    return {
      entries,
      tensors: tensors.map(({ name, dimensions, type, start, end }) => ({ name, dimensions, type, data: file.subarray(start, end) })),
    };
  } catch (cause) {
    throw new Error(`${path} cannot be read as GGUF: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** The whole file, see {@link ggufParts}. */
export function writeGguf(layout: GgufLayout): Buffer {
  return Buffer.concat(ggufParts(layout));
}

/** Writes `path`, whole or not at all. */
export function writeGgufFile(layout: GgufLayout, path: string): void {
  const partial = `${path}.${String(process.pid)}.partial`;
  try {
    const file = openSync(partial, "w");
    try {
      for (const part of ggufParts(layout)) writeFileSync(file, part);
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
}

/** Tensors follow one another in the given order, each at a multiple of the default alignment. */
function ggufParts(layout: GgufLayout): Buffer[] {
  const entries = layout.entries.filter((entry) => entry.key !== alignmentKey);
  const parts = [Buffer.from(magic), uint32(version), uint64(layout.tensors.length), uint64(entries.length)];
  for (const entry of entries) parts.push(entry.bytes);
  let offset = 0;
  for (const tensor of layout.tensors) {
    parts.push(text(tensor.name), uint32(tensor.dimensions.length), ...tensor.dimensions.map(uint64), uint32(tensor.type), uint64(offset));
    offset += aligned(tensor.data.length, defaultAlignment);
  }
  parts.push(padding(parts.reduce((sum, part) => sum + part.length, 0)));
  for (const tensor of layout.tensors) parts.push(tensor.data, padding(tensor.data.length));
  return parts;
}

function aligned(length: number, alignment: number): number {
  return Math.ceil(length / alignment) * alignment;
}

function padding(length: number): Buffer {
  return Buffer.alloc(aligned(length, defaultAlignment) - length);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}
