/**
 * Tensors of types that the engine does not read, in ones that it reads. Q5_0 becomes Q8_0 with the same scales and codes: the same numbers. Q4_K
 * becomes Q4_1 with the same codes, and scales that are rounded to 16 bits. Q6_K has a scale for 16 values and becomes Q8_0, rounded as ggml rounds.
 */
import { fromHalf, toHalf } from "./half.ts";
import type { GgufTensor } from "./layout.ts";

/** ggml's numbers. */
const [q41, q50, q80, q4k, q6k] = [3, 6, 8, 12, 14];

interface Change {
  readonly type: number;
  /** Bytes of a block, and of what it becomes. */
  readonly from: number;
  readonly to: number;
  /** Writes what the block at `at` becomes. */
  change(block: Buffer, at: number, out: Buffer, outAt: number): void;
}

const changes: ReadonlyMap<number, Change> = new Map([
  [q50, { type: q80, from: 22, to: 34, change: fromQ50 }],
  [q4k, { type: q41, from: 144, to: 8 * 20, change: fromQ4k }],
  [q6k, { type: q80, from: 210, to: 8 * 34, change: fromQ6k }],
]);

/** Whether the engine reads it only when it is requantised. */
export const isRequantised = (type: number): boolean => changes.has(type);

/** The tensor itself where the engine reads its type. @throws Error that names the tensor, where its scales fit no 16 bits. */
export function requantised(tensor: GgufTensor): GgufTensor {
  const change = changes.get(tensor.type);
  if (change === undefined) return tensor;
  const blocks = tensor.data.length / change.from;
  const data = Buffer.alloc(blocks * change.to);
  try {
    for (let block = 0; block < blocks; block++) change.change(tensor.data, block * change.from, data, block * change.to);
  } catch (cause) {
    throw new Error(`tensor "${tensor.name}" ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  return { ...tensor, type: change.type, data };
}

/** `d` f16, a fifth bit for each of 32 codes, then their other four: value i and value i + 16 in byte i. */
function fromQ50(block: Buffer, at: number, out: Buffer, outAt: number): void {
  block.copy(out, outAt, at, at + 2);
  const high = block.readUInt32LE(at + 2);
  for (let i = 0; i < 16; i++) {
    const low = block[at + 6 + i] ?? 0;
    out[outAt + 2 + i] = ((low & 15) | (((high >>> i) & 1) << 4)) - 16;
    out[outAt + 18 + i] = ((low >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16;
  }
}

/** `d` and `dmin` f16, 6 bits of scale and of minimum for each of 8 times 32 values, then the codes: 64 values in 32 bytes. */
function fromQ4k(block: Buffer, at: number, out: Buffer, outAt: number): void {
  const [d, least] = [fromHalf(block.readUInt16LE(at)), fromHalf(block.readUInt16LE(at + 2))];
  const packed = block.subarray(at + 4, at + 16);
  for (let part = 0; part < 8; part++) {
    const [scale, minimum] = scaleAndMinimum(packed, part);
    const to = outAt + part * 20;
    out.writeUInt16LE(finiteHalf(d * scale), to);
    out.writeUInt16LE(finiteHalf(-(least * minimum)), to + 2);
    const [codes, shift] = [at + 16 + (part >> 1) * 32, (part & 1) * 4];
    for (let i = 0; i < 16; i++) {
      const [one, other] = [(block[codes + i] ?? 0) >> shift, (block[codes + 16 + i] ?? 0) >> shift];
      out[to + 4 + i] = (one & 15) | ((other & 15) << 4);
    }
  }
}

function scaleAndMinimum(packed: Buffer, part: number): readonly [number, number] {
  const byte = (index: number): number => packed[index] ?? 0;
  if (part < 4) return [byte(part) & 63, byte(part + 4) & 63];
  return [(byte(part + 4) & 15) | ((byte(part - 4) >> 6) << 4), (byte(part + 4) >> 4) | ((byte(part) >> 6) << 4)];
}

const values = new Float32Array(32);

/** 4 bits of 256 codes, 2 more bits of them, a signed scale for each 16, `d` f16. */
function fromQ6k(block: Buffer, at: number, out: Buffer, outAt: number): void {
  const d = fromHalf(block.readUInt16LE(at + 208));
  for (let part = 0; part < 8; part++) {
    // Two runs of 128 values; of each, the 64 bytes of low bits have values 0 to 63 below 64 to 127, and the 32 bytes of high bits four runs of 32.
    const [half, quarter] = [part >> 2, part & 3];
    const low = at + half * 64 + (quarter & 1) * 32;
    const high = at + 128 + half * 32;
    let largest = 0;
    for (let i = 0; i < 32; i++) {
      const code = (((block[low + i] ?? 0) >> ((quarter >> 1) * 4)) & 15) | ((((block[high + i] ?? 0) >> (quarter * 2)) & 3) << 4);
      const scale = Math.fround(d * block.readInt8(at + 192 + part * 2 + (i >> 4)));
      values[i] = scale * (code - 32);
      largest = Math.max(largest, Math.abs(values[i] ?? 0));
    }
    writeQ80(largest, out, outAt + part * 34);
  }
}

/** `values` as ggml's reference quantises them. */
function writeQ80(largest: number, out: Buffer, at: number): void {
  const scale = Math.fround(largest / 127);
  const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
  out.writeUInt16LE(finiteHalf(scale), at);
  for (let i = 0; i < 32; i++) {
    const value = Math.fround((values[i] ?? 0) * inverse);
    out[at + 2 + i] = Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
  }
}

function finiteHalf(value: number): number {
  const half = toHalf(Math.fround(value));
  if ((half & 0x7c00) === 0x7c00) throw new Error(`must have scales that fit 16 bits; one is ${String(value)}`);
  return half;
}
