/** Where the parts of a GGUF lie, without decoding them: metadata entries and tensors as runs of bytes (as ggml specifies GGUF, version 3). */

export interface GgufEntry {
  readonly key: string;
  /** Key, type and value as they stand in the file. */
  readonly bytes: Buffer;
  /** The value alone. */
  readonly value: Buffer;
}

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
const defaultAlignment = 32;
const alignmentKey = "general.alignment";
const stringType = 8;
const arrayType = 9;
/** Bytes of a metadata value by its type; strings and arrays have none of their own. */
const valueBytes: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
/** Values and bytes of a block by a tensor's type: f32, f16, q4_0, q4_1, q8_0, bf16. */
const blocks: Readonly<Record<number, readonly [number, number]>> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  8: [32, 34],
  30: [1, 2],
};

/** Bytes of one row of `columns` values. */
export function rowBytes(type: number, columns: number, name: string): number {
  const block = blocks[type];
  if (block === undefined)
    throw new Error(`tensor "${name}" must be of one of the types ${Object.keys(blocks).join(", ")}; it is ${String(type)}`);
  if (columns % block[0] !== 0)
    throw new Error(`tensor "${name}" must have rows of whole blocks of ${String(block[0])}; it has ${String(columns)} columns`);
  return (columns / block[0]) * block[1];
}

export function readGguf(file: Buffer, path: string): GgufLayout {
  try {
    return new Reader(file).layout();
  } catch (cause) {
    throw new Error(`${path} cannot be read as GGUF: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** The whole file. Tensors follow one another in the given order, each at a multiple of the default alignment. */
export function writeGguf(layout: GgufLayout): Buffer {
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
  return Buffer.concat(parts);
}

class Reader {
  readonly #file: Buffer;
  #at = 0;

  constructor(file: Buffer) {
    this.#file = file;
  }

  layout(): GgufLayout {
    const found = this.#take(4).toString("latin1");
    if (found !== magic) throw new Error(`the first bytes must be ${magic}; they are ${JSON.stringify(found)}`);
    const written = this.#uint32();
    if (written !== version) throw new Error(`version must be ${String(version)}; it is ${String(written)}`);
    const tensorCount = this.#uint64();
    const entryCount = this.#uint64();
    const entries = Array.from({ length: entryCount }, () => this.#entry());
    const infos = Array.from({ length: tensorCount }, () => this.#tensorInfo());
    const alignment = entries.find((entry) => entry.key === alignmentKey)?.value.readUInt32LE() ?? defaultAlignment;
    const start = aligned(this.#at, alignment);
    return { entries, tensors: infos.map((info) => this.#tensor(info, start)) };
  }

  #entry(): GgufEntry {
    const start = this.#at;
    const key = this.#text();
    const type = this.#uint32();
    const valueStart = this.#at;
    this.#skip(type);
    return { key, bytes: this.#file.subarray(start, this.#at), value: this.#file.subarray(valueStart, this.#at) };
  }

  #skip(type: number): void {
    if (type === stringType) {
      this.#take(this.#uint64());
    } else if (type === arrayType) {
      const element = this.#uint32();
      const count = this.#uint64();
      const size = valueBytes[element];
      if (size === undefined) for (let index = 0; index < count; index++) this.#skip(element);
      else this.#take(size * count);
    } else {
      const size = valueBytes[type];
      if (size === undefined) throw new Error(`a metadata type must be 0 to 12; it is ${String(type)}`);
      this.#take(size);
    }
  }

  #tensorInfo(): Omit<GgufTensor, "data"> & { offset: number } {
    const name = this.#text();
    const dimensions = Array.from({ length: this.#uint32() }, () => this.#uint64());
    return { name, dimensions, type: this.#uint32(), offset: this.#uint64() };
  }

  #tensor({ offset, ...tensor }: Omit<GgufTensor, "data"> & { offset: number }, start: number): GgufTensor {
    const [columns = 1, ...rest] = tensor.dimensions;
    const length = rowBytes(tensor.type, columns, tensor.name) * rest.reduce((product, size) => product * size, 1);
    this.#at = start + offset;
    return { ...tensor, data: this.#take(length) };
  }

  #text(): string {
    return this.#take(this.#uint64()).toString("utf8");
  }

  #uint32(): number {
    return this.#take(4).readUInt32LE();
  }

  #uint64(): number {
    const value = Number(this.#take(8).readBigUInt64LE());
    if (!Number.isSafeInteger(value)) throw new Error(`a size must be below 2^53; it is ${String(value)}`);
    return value;
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#file.length) throw new Error(`it must have ${String(end)} bytes; it has ${String(this.#file.length)}`);
    const taken = this.#file.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
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
