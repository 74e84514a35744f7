/** Whole state files, as an engine gives and takes them in chunks. */
import type { Engine } from "./packages.ts";

type Transfers = Pick<Engine, "beginSave" | "readSaved" | "endSave" | "beginRestore" | "pushState" | "endRestore">;

/** No unit of any model ends with them. */
const chunkBytes = 997;

export function saved(engine: Transfers, sequence: number, { fromPage = 0, mode = "{}", most = chunkBytes } = {}): Uint8Array {
  const file = new Uint8Array(engine.beginSave(sequence, fromPage, mode));
  let at = 0;
  for (let chunk = engine.readSaved(sequence, most); chunk.length > 0; chunk = engine.readSaved(sequence, most)) {
    file.set(chunk, at);
    at += chunk.length;
  }
  engine.endSave(sequence);
  if (at !== file.length) throw new Error(`${String(file.length)} bytes were said to come; ${String(at)} did`);
  return file;
}

/** Returns the tokens that the state holds. */
export function restore(
  engine: Transfers,
  sequence: number,
  file: Uint8Array,
  seen: readonly number[] | Uint32Array = [],
  most = chunkBytes,
): number {
  engine.beginRestore(sequence, Uint32Array.from(seen));
  for (let at = 0; at < file.length; at += most) engine.pushState(sequence, file.subarray(at, at + most));
  return engine.endRestore(sequence);
}
