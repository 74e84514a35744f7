/** A GGUF that the engine reads: the file itself, or what it becomes in the cache where some of its tensors are of other types. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readGguf, writeGgufFile } from "../gguf/layout.ts";
import { readGgufHeader } from "../gguf/metadata.ts";
import { isRequantised, requantised } from "../gguf/requantise.ts";
import { digestFile } from "./digest.ts";

/** Raised when what becomes of a tensor changes. */
const formatVersion = 1;

export async function servedFile(path: string, cache: string): Promise<string> {
  const { tensors } = await readGgufHeader(path);
  if (!tensors.some(({ type }) => isRequantised(type))) return path;
  const out = join(cache, `${await digestFile(path)}.served-${String(formatVersion)}.gguf`);
  if (existsSync(out)) return out;
  console.log(`Requantising ${path} (once) …`);
  mkdirSync(cache, { recursive: true });
  const { entries, tensors: read } = readGguf(readFileSync(path), path);
  writeGgufFile({ entries, tensors: read.map(requantised) }, out);
  return out;
}
