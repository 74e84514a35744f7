/**
 * The header of a GGUF, from untrusted bytes (versions 2 and 3, little-endian), by the rules of `wasm/engine/src/weights/gguf.rs` and in its
 * words: nothing is made of a length before it is known to lie within the file.
 */
import { Cursor, mostHeaderBytes } from "./cursor.ts";
import { rowBytes } from "./tensor-types.ts";

export interface HeaderEntry {
  readonly key: string;
  /** Key, type and value as they stand in the file. */
  readonly bytes: Buffer;
  /** The value alone. */
  readonly value: Buffer;
}

export interface HeaderTensor {
  readonly name: string;
  /** Columns first, as in the file. */
  readonly dimensions: readonly number[];
  readonly type: number;
  /** Where its data lie, bytes from the start of the file. */
  readonly start: number;
  readonly end: number;
}

export interface Header {
  readonly entries: readonly HeaderEntry[];
  readonly tensors: readonly HeaderTensor[];
}

const magic = "GGUF";
const versions = [2, 3];
/** The smallest entry and the smallest tensor take so many bytes. */
const [mostEntries, mostTensors] = [mostHeaderBytes / 13, mostHeaderBytes / 24];
export const alignmentKey = "general.alignment";
export const defaultAlignment = 32;
const mostAlignment = 65_536;
const [uint32Type, boolType, stringType, arrayType] = [4, 7, 8, 9];
/** Bytes of a metadata value by its type; strings and arrays have none of their own. */
const valueBytes: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const mostDimensions = 4;
const mostElements = 2 ** 44;
const mostRows = 2 ** 31;
/** So that numbers count it exactly; a file comes nowhere near. */
const mostOffset = BigInt(Number.MAX_SAFE_INTEGER) / 2n;

/** Of a file of `size` bytes that begins with `first`. @throws MoreNeeded where the header goes on behind `first`; Error for what is wrong. */
export function readHeader(first: Buffer, size: number): Header {
  const cursor = new Cursor(first, size);
  const found = cursor.take(magic.length);
  if (found.toString("latin1") !== magic)
    throw new Error(`the file starts with ${JSON.stringify(found.toString("latin1"))}, not with '${magic}'`);
  const version = cursor.uint32();
  if (!versions.includes(version)) throw new Error(`version is ${String(version)}; 2 and 3 (little-endian) are supported`);
  const [tensorCount, entryCount] = [cursor.uint64(), cursor.uint64()];
  if (tensorCount > mostTensors || entryCount > mostEntries)
    throw new Error(`${String(tensorCount)} tensors and ${String(entryCount)} metadata entries do not fit a header`);
  const entries = new Map<string, HeaderEntry>();
  let alignment = defaultAlignment;
  for (let left = Number(entryCount); left > 0; left--) {
    const { entry, type } = entryAt(cursor);
    if (entries.has(entry.key)) throw new Error(`metadata key '${entry.key}' appears twice`);
    entries.set(entry.key, entry);
    if (entry.key === alignmentKey) alignment = alignmentOf(entry.value, type);
  }
  const infos: Info[] = [];
  for (let left = Number(tensorCount); left > 0; left--) infos.push(tensorAt(cursor, alignment));
  cursor.take((alignment - (cursor.at % alignment)) % alignment);
  return { entries: [...entries.values()], tensors: placed(infos, cursor.at, alignment, size) };
}

function entryAt(cursor: Cursor): { readonly entry: HeaderEntry; readonly type: number } {
  const start = cursor.at;
  const key = cursor.name("a metadata key");
  const type = cursor.uint32();
  const valueStart = cursor.at;
  skipValue(cursor, type, key);
  return { entry: { key, bytes: cursor.from(start), value: cursor.from(valueStart) }, type };
}

function skipValue(cursor: Cursor, type: number, key: string): void {
  if (type === arrayType) skipArray(cursor, cursor.uint32(), cursor.uint64(), key);
  else if (type === stringType) cursor.text(`the value of '${key}'`);
  else {
    const value = cursor.take(scalarBytes(type, `'${key}' has value type`));
    if (type === boolType && (value[0] ?? 0) > 1) throw new Error(`'${key}' is a bool of value ${String(value[0])}; 0 and 1 are allowed`);
  }
}

function skipArray(cursor: Cursor, type: number, count: bigint, key: string): void {
  if (count > mostHeaderBytes) throw new Error(`'${key}' claims ${String(count)} items; at most ${String(mostHeaderBytes)} are possible`);
  if (type === arrayType) throw new Error(`'${key}' is an array of arrays, which is not supported`);
  if (type === stringType) for (let left = Number(count); left > 0; left--) cursor.skipString(`an item of '${key}'`);
  else cursor.take(Number(count) * scalarBytes(type, `'${key}' is an array of type`));
}

function scalarBytes(type: number, what: string): number {
  const bytes = valueBytes[type];
  if (bytes === undefined) throw new Error(`${what} ${String(type)}; 0 to 12 exist`);
  return bytes;
}

function alignmentOf(value: Buffer, type: number): number {
  const alignment = type === uint32Type ? value.readUInt32LE() : NaN;
  if (!(alignment >= 1 && alignment <= mostAlignment) || (alignment & (alignment - 1)) !== 0)
    throw new Error(
      `${alignmentKey} must be a power of two up to ${String(mostAlignment)}; it is ${Number.isNaN(alignment) ? JSON.stringify(value.toString("latin1").slice(0, 40)) : String(alignment)}`,
    );
  return alignment;
}

type Info = Omit<HeaderTensor, "start" | "end"> & { readonly offset: bigint; readonly bytes: number };

function tensorAt(cursor: Cursor, alignment: number): Info {
  const name = cursor.name("a tensor name");
  const count = cursor.uint32();
  if (count < 1 || count > mostDimensions)
    throw new Error(`tensor '${name}' has ${String(count)} dimensions; 1 to ${String(mostDimensions)} are allowed`);
  const dimensions: number[] = [];
  let elements = 1;
  for (let left = count; left > 0; left--) {
    const size = cursor.uint64();
    elements *= Number(size);
    if (!(elements > 0 && elements < mostElements))
      throw new Error(`tensor '${name}' has a dimension of ${String(size)}; the product must be positive and below 2^44`);
    dimensions.push(Number(size));
  }
  const rows = elements / (dimensions[0] ?? 1);
  if (rows >= mostRows)
    throw new Error(`tensor '${name}' has ${String(rows)} rows; the product of all dimensions but the first must be below 2^31`);
  const type = cursor.uint32();
  const bytes = rowBytes(type, dimensions[0] ?? 1, name) * rows;
  const offset = cursor.uint64();
  if (offset % BigInt(alignment) !== 0n)
    throw new Error(`tensor '${name}' has offset ${String(offset)}, which is not a multiple of the alignment ${String(alignment)}`);
  return { name, dimensions, type, offset, bytes };
}

/** In the file's order, each within the file and none within another. */
function placed(infos: readonly Info[], start: number, alignment: number, size: number): HeaderTensor[] {
  const names = new Set<string>();
  for (const { name, offset } of infos) {
    if (names.has(name)) throw new Error(`tensor '${name}' appears twice`);
    if (offset > mostOffset) throw new Error(`tensor '${name}' has offset ${String(offset)}, past any file`);
    names.add(name);
  }
  const tensors = infos.map(({ offset, bytes, ...info }) => ({
    ...info,
    start: start + Number(offset),
    end: start + Number(offset) + bytes,
  }));
  let [end, previous] = [start, "the header"];
  const byOffset = tensors.toSorted((one, other) => one.start - other.start);
  for (const tensor of byOffset) {
    if (tensor.start < end) throw new Error(`tensor '${tensor.name}' overlaps ${previous}`);
    [end, previous] = [tensor.end, `tensor '${tensor.name}'`];
  }
  const cut = byOffset.find((tensor) => tensor.end > size);
  if (cut !== undefined)
    throw new Error(`the file ends after ${String(size)} bytes, ${cut.start < size ? "within" : "before"} tensor '${cut.name}'`);
  const whole = Math.ceil(end / alignment) * alignment;
  if (size > whole) throw new Error(`the file goes on past its end at byte ${String(whole)}`);
  return tensors;
}
