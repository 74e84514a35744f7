/** What the chunks of heads and pages are sealed as. */
import type { Blob } from "../blobs/blob-shelf.ts";
import type { ModelIdentity } from "../contract.ts";
import { chunkCount, type ChunkContext } from "./seal.ts";

/** A file's header and head. */
export function headContext(name: string, identity: ModelIdentity, tokens: number, bytes: number): Omit<ChunkContext, "number"> {
  return { kind: "head", name, identity, tokens: String(tokens), count: chunkCount(bytes) };
}

export function pageContext(
  { name, mask, bytes }: Pick<Blob, "name" | "mask" | "bytes">,
  identity: ModelIdentity,
  group: number,
  page: number,
): Omit<ChunkContext, "number"> {
  return { kind: "page", name, identity, tokens: `${String(group)}:${String(page)}:${String(mask)}`, count: chunkCount(bytes) };
}
