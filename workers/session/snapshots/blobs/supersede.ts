/** Puts a fuller page in the place of the one that older snapshots have. */
import type { Collection } from "../index/collection.ts";
import { prove } from "../seal/proof.ts";
import type { Sealer } from "../seal/seal.ts";

export interface Superseded {
  readonly group: number;
  readonly page: number;
  readonly older: number;
  readonly newer: number;
}

export interface SupersedeDependencies {
  readonly storage: DurableObjectStorage;
  readonly collection: Collection;
  readonly sealer: Sealer;
}

export async function supersede({ storage, collection, sealer }: SupersedeDependencies, replaced: readonly Superseded[]): Promise<void> {
  const { rows, shelf } = collection;
  for (const { group, page, older, newer } of replaced) {
    for (const snapshot of rows.withBlob(older)) {
      if (snapshot.proof === null) continue;
      const before = rows.placements(snapshot.key);
      const placements = before.map((placement) => (placement.blob === older ? { group, page, blob: newer } : placement));
      if (shelf.get(newer) === undefined) return;
      const proof = await prove(sealer, shelf, snapshot, placements);
      storage.transactionSync(() => {
        // Removed or superseded itself meanwhile: then it stays as it is.
        if (shelf.get(newer) === undefined || JSON.stringify(rows.placements(snapshot.key)) !== JSON.stringify(before)) return;
        rows.place(snapshot.key, { group, page, blob: newer });
        rows.prove(snapshot.key, proof);
        collection.packs.collect(shelf.collect([older]));
      });
    }
  }
}
