/**
 * Makes the built-in model of its teacher's file and the delta that training left, as `spikingbrain/convert/delta.py` describes it. Moves
 * bytes only, so set-up needs no Python packages.
 */
import { createHash } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { readGguf, rowBytes, writeGguf, type GgufEntry, type GgufLayout, type GgufTensor } from "./gguf-layout.ts";
import { isMain, reportFailure } from "./run.ts";

const architectureKey = "general.architecture";
const ownGeneral = [architectureKey, "general.name"];
const baseDigestKey = "spikingbrain.delta.base_sha256";
const baseFileKey = "spikingbrain.delta.base_file";
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
  const merged = writeGguf({
    entries: mergedEntries(base, delta),
    tensors: [...baseTensors(base, delta, basePath, deltaPath), ...delta.tensors],
  });
  const partial = `${out}.${String(process.pid)}.partial`;
  try {
    writeFileSync(partial, merged);
    renameSync(partial, out);
  } finally {
    rmSync(partial, { force: true });
  }
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
