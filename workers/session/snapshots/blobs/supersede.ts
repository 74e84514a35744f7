/** Lets a fuller page stand for the part of it that older snapshots have. */
import type { Collection } from "../index/collection.ts";
import { prove } from "../seal/proof.ts";
import type { Sealer } from "../seal/seal.ts";

export interface Superseded {
  readonly group: number;
  readonly page: number;
  readonly older: number;
  readonly newer: number;
}

export interface SupersedeParts {
  readonly storage: DurableObjectStorage;
  readonly collection: Collection;
  readonly sealer: Sealer;
}

export async function supersede({ storage, collection, sealer }: SupersedeParts, replaced: readonly Superseded[]): Promise<void> {
  const { rows, shelf } = collection;
  for (const { group, page, older, newer } of replaced) {
    for (const snapshot of rows.withBlob(older)) {
      if (snapshot.proof === null) continue;
      const before = rows.parts(snapshot.key);
      const parts = before.map((part) => (part.blob === older ? { group, page, blob: newer } : part));
      if (shelf.get(newer) === undefined) return;
      const proof = await prove(sealer, shelf, snapshot, parts);
      storage.transactionSync(() => {
        // Removed or superseded itself meanwhile: then it stays as it is.
        if (shelf.get(newer) === undefined || JSON.stringify(rows.parts(snapshot.key)) !== JSON.stringify(before)) return;
        rows.setPart(snapshot.key, { group, page, blob: newer });
        rows.prove(snapshot.key, proof);
        collection.packs.collect(shelf.collect([older]));
      });
    }
  }
}
