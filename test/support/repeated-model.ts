/** A model larger than another: its layers so many times over. It says nothing of sense and is as real as any in all else. */
import { readFileSync } from "node:fs";
import { readGguf, writeGgufFile, type GgufEntry, type GgufTensor } from "../../infra/local/gguf/layout.ts";

const uint32Type = 4;
const arrayType = 9;

/** @throws Error where the file is none of a model in layers. */
export function writeRepeatedModel(source: string, path: string, times: number): void {
  const { entries, tensors } = readGguf(readFileSync(source), source);
  const layers = Math.max(...tensors.map(({ name }) => Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1))) + 1;
  if (layers === 0) throw new Error(`${source} has no layers`);
  const repeated = Array.from({ length: times }, (_, time) => tensors.flatMap((tensor) => atTime(tensor, time * layers)));
  const others = tensors.filter(({ name }) => !name.startsWith("blk."));
  writeGgufFile({ entries: entries.map((entry) => repeatedEntry(entry, layers, times)), tensors: [...others, ...repeated.flat()] }, path);
}

function atTime(tensor: GgufTensor, first: number): GgufTensor[] {
  const [, layer, rest] = /^blk\.(\d+)\.(.*)$/.exec(tensor.name) ?? [];
  return layer === undefined ? [] : [{ ...tensor, name: `blk.${String(Number(layer) + first)}.${rest ?? ""}` }];
}

/** The count of layers, and lists with one value for each layer. */
function repeatedEntry(entry: GgufEntry, layers: number, times: number): GgufEntry {
  const { bytes } = entry;
  const valueAt = 8 + Number(bytes.readBigUInt64LE(0));
  const type = bytes.readUInt32LE(valueAt);
  if (entry.key.endsWith(".block_count") && type === uint32Type) {
    const changed = Buffer.from(bytes);
    changed.writeUInt32LE(layers * times, valueAt + 4);
    return { ...entry, bytes: changed };
  }
  if (type !== arrayType || bytes.readBigUInt64LE(valueAt + 8) !== BigInt(layers)) return entry;
  const front = Buffer.from(bytes.subarray(0, valueAt + 16));
  front.writeBigUInt64LE(BigInt(layers * times), valueAt + 8);
  const values = bytes.subarray(valueAt + 16);
  return { ...entry, bytes: Buffer.concat([front, ...Array.from({ length: times }, () => values)]) };
}
