/** Binds a snapshot's blobs to their places and to what finds it: each opens by itself, and together they may still be a wrong state. */
import type { BlobShelf } from "../blobs/blob-shelf.ts";
import { toHex } from "../../../encoding/hex.ts";
import { SealBroken, type ChunkContext, type Sealer } from "./seal.ts";
import type { Placement, Snapshot } from "../index/snapshot-rows.ts";

type Proven = Pick<Snapshot, "id" | "identity" | "tokens" | "node" | "tail">;

export async function prove(sealer: Sealer, shelf: BlobShelf, snapshot: Proven, placements: readonly Placement[]): Promise<Uint8Array> {
  return await sealer.seal(new Uint8Array(), await contextOf(shelf, snapshot, placements));
}

/** @throws SealBroken where placements are not those that it was written with. */
export async function checkProof(sealer: Sealer, shelf: BlobShelf, snapshot: Snapshot, placements: readonly Placement[]): Promise<void> {
  await sealer.open(snapshot.proof ?? new Uint8Array(), await contextOf(shelf, snapshot, placements));
}

async function contextOf(
  shelf: BlobShelf,
  { id, identity, tokens, node, tail }: Proven,
  placements: readonly Placement[],
): Promise<ChunkContext> {
  const facts = placements.map(({ group, page, blob }) => {
    const found = shelf.get(blob);
    if (found === undefined) throw new SealBroken("a blob is missing");
    return [group, page, found.name, found.mask, found.bytes];
  });
  const text = new TextEncoder().encode(JSON.stringify([tokens, node, tail, facts]));
  const digest = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", text)));
  return { kind: "proof", name: id, identity, tokens: digest, number: 0, count: 1 };
}
