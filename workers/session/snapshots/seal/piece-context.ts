/** What the pieces of heads and pages are sealed as. */
import type { Blob } from "../blobs/blob-shelf.ts";
import type { ModelIdentity } from "../contract.ts";
import { pieceCount, type PieceContext } from "./seal.ts";

/** A file's header and head. */
export function headContext(name: string, identity: ModelIdentity, tokens: number, bytes: number): Omit<PieceContext, "number"> {
  return { kind: "head", name, identity, tokens: String(tokens), count: pieceCount(bytes) };
}

export function pageContext(
  { name, mask, bytes }: Pick<Blob, "name" | "mask" | "bytes">,
  identity: ModelIdentity,
  group: number,
  page: number,
): Omit<PieceContext, "number"> {
  return { kind: "page", name, identity, tokens: `${String(group)}:${String(page)}:${String(mask)}`, count: pieceCount(bytes) };
}
