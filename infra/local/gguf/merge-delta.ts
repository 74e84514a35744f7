/**
 * Makes a converted model of its teacher's file and the delta that training left, as `spikingbrain/convert/export/delta.py` describes it. Moves
 * bytes only, but for tensors of types that the engine does not read (`requantise.ts`), so set-up needs no Python packages.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readGguf, writeGgufFile, type GgufEntry, type GgufLayout, type GgufTensor } from "./layout.ts";
import { requantised } from "./requantise.ts";
import { rowBytes } from "./tensor-types.ts";
import { isMain, reportFailure } from "../run.ts";

const architectureKey = "general.architecture";
const ownGeneral = [architectureKey, "general.name"];
const baseDigestKey = "spikingbrain.delta.base_sha256";
const baseFileKey = "spikingbrain.delta.base_file";
/** ggml's number of a type, bytes of a block, and how many of those are its scale and least value, both f16. */
const q41 = { type: 3, blockBytes: 20, scaleBytes: 4 };
const f16Type = 1;
const headWidthKey = "spikingbrain.attention.key_length";

/** Writes `out`, whole or not at all. Refuses a base that the delta was not made for. */
export function mergeDelta(basePath: string, deltaPath: string, out: string): void {
  const baseFile = readFileSync(basePath);
  const delta = readGguf(readFileSync(deltaPath), deltaPath);
  const wanted = textOf(delta, baseDigestKey, deltaPath);
  const found = createHash("sha256").update(baseFile).digest("hex");
  if (found !== wanted) {
    throw new Error(`${basePath} must be ${textOf(delta, baseFileKey, deltaPath)} with sha256 ${wanted}; its sha256 is ${found}`);
  }
  const base = readGguf(baseFile, basePath);
  const tensors = mergedTensors(baseTensors(base, delta, basePath, deltaPath), delta.tensors).map(requantised);
  writeGgufFile({ entries: mergedEntries(base, delta), tensors }, out);
}

function mergedEntries(base: GgufLayout, delta: GgufLayout): GgufEntry[] {
  const own = delta.entries.filter(
    ({ key }) => ownGeneral.includes(key) || (key.startsWith("spikingbrain.") && !key.startsWith("spikingbrain.delta.")),
  );
  const kept = base.entries.filter(({ key }) => (key.startsWith("general.") && !ownGeneral.includes(key)) || key.startsWith("tokenizer."));
  return [...own, ...kept];
}

function baseTensors(base: GgufLayout, delta: GgufLayout, basePath: string, deltaPath: string): GgufTensor[] {
  if (textOf(base, architectureKey, basePath) !== "llama") return [...base.tensors];
  const headWidth = entry(delta, headWidthKey, deltaPath).value.readUInt32LE();
  return base.tensors.map((tensor) => (/\.attn_[qk]\.(weight|bias)$/.test(tensor.name) ? halfSplit(tensor, headWidth) : tensor));
}

/** `llama` files have a rotary pair in neighbouring rows; half a head lies between them here. */
function halfSplit(tensor: GgufTensor, headWidth: number): GgufTensor {
  const [columns = 1, rows] = tensor.dimensions;
  const [count, length] =
    rows === undefined ? [columns, rowBytes(tensor.type, 1, tensor.name)] : [rows, rowBytes(tensor.type, columns, tensor.name)];
  if (count % headWidth !== 0)
    throw new Error(`tensor "${tensor.name}" must have rows for heads of ${String(headWidth)}; it has ${String(count)}`);
  const data = Buffer.alloc(tensor.data.length);
  for (let row = 0; row < count; row++) {
    const within = row % headWidth;
    const pair = within % (headWidth / 2);
    const from = row - within + 2 * pair + (within < headWidth / 2 ? 0 : 1);
    tensor.data.copy(data, row * length, from * length, (from + 1) * length);
  }
  return { ...tensor, data };
}

/** The base's tensors with what the delta has in their place, then what only the delta has. */
function mergedTensors(base: readonly GgufTensor[], delta: readonly GgufTensor[]): GgufTensor[] {
  const own = new Map(delta.map((tensor) => [tensor.name, tensor]));
  const merged = base.map((tensor) => {
    const scalesName = tensor.name.replace(/\.weight$/, ".block_scales");
    const [whole, scales] = [own.get(tensor.name), own.get(scalesName)];
    own.delete(tensor.name);
    own.delete(scalesName);
    if (whole !== undefined) return inPlace(tensor, whole);
    return scales === undefined ? tensor : rescaled(tensor, scales);
  });
  const stray = [...own.keys()].find((name) => name.endsWith(".block_scales"));
  if (stray !== undefined) throw new Error(`tensor "${stray}" must be of a matrix of the base; there is none`);
  return [...merged, ...own.values()];
}

function inPlace(tensor: GgufTensor, whole: GgufTensor): GgufTensor {
  if (String(whole.dimensions) !== String(tensor.dimensions))
    throw new Error(
      `tensor "${tensor.name}" must have the base's dimensions ${String(tensor.dimensions)}; it has ${String(whole.dimensions)}`,
    );
  return whole;
}

/** A Q4_1 matrix with other scales and least values: what each block begins with. */
function rescaled(tensor: GgufTensor, scales: GgufTensor): GgufTensor {
  const count = tensor.data.length / q41.blockBytes;
  if (tensor.type !== q41.type || scales.type !== f16Type || scales.data.length !== count * q41.scaleBytes)
    throw new Error(
      `tensor "${scales.name}" must have two values in f16 for each block of a Q4_1 matrix; ` +
        `it has ${String(scales.data.length)} bytes of type ${String(scales.type)} for ${String(tensor.data.length)} of type ${String(tensor.type)}`,
    );
  const data = Buffer.from(tensor.data);
  for (let block = 0; block < count; block++)
    scales.data.copy(data, block * q41.blockBytes, block * q41.scaleBytes, (block + 1) * q41.scaleBytes);
  return { ...tensor, data };
}

function entry(layout: GgufLayout, key: string, path: string): GgufEntry {
  const found = layout.entries.find((each) => each.key === key);
  if (found === undefined) throw new Error(`${path} must have "${key}" in its metadata; it has not`);
  return found;
}

function textOf(layout: GgufLayout, key: string, path: string): string {
  return entry(layout, key, path).value.subarray(8).toString("utf8");
}

if (isMain(import.meta.url)) {
  const [base, delta, out] = process.argv.slice(2);
  try {
    if (base === undefined || delta === undefined || out === undefined)
      throw new Error("usage: merge-delta.ts BASE.gguf DELTA.gguf OUT.gguf");
    mergeDelta(base, delta, out);
  } catch (error) {
    reportFailure(error);
  }
}
