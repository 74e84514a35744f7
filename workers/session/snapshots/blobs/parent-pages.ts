/** Pages of the snapshot that another one grows from. */
import { ServiceError } from "../../../contracts/errors.ts";
import { invalidRequest } from "../../failures.ts";
import { snapshotInvalid } from "../../../state-file/failures.ts";
import type { Blob } from "./blob-shelf.ts";
import type { Collection } from "../index/collection.ts";
import type { PutOrder } from "../contract.ts";
import type { Placement, Snapshot } from "../index/snapshot-rows.ts";
import { contains, type PageRows } from "../../../state-file/layout.ts";

export class ParentPages {
  readonly #collection: Collection;
  readonly #blobs: ReadonlyMap<string, number>;

  /** `layout` of the child. @throws ServiceError where the child needs pages of a parent that is gone or another model's. */
  constructor(collection: Collection, order: PutOrder, layout: string) {
    this.#collection = collection;
    const parent = order.parent === null ? undefined : collection.rows.finished(order.parent);
    const fits = parent !== undefined && isOfOneKind(parent, order, layout);
    if (!fits && order.fromPage > 0)
      throw new ServiceError(
        snapshotInvalid(`parent: it must be a snapshot of the same model; it is ${parent === undefined ? "gone" : "another one's"}`),
      );
    this.#blobs = new Map((fits ? collection.rows.placements(parent.key) : []).map((placement) => [placeOf(placement), placement.blob]));
  }

  blob(group: number, page: number): Blob | undefined {
    const key = this.#blobs.get(placeOf({ group, page }));
    return key === undefined ? undefined : this.#collection.shelf.get(key);
  }

  /** @throws ServiceError where the parent does not hold these rows. */
  shared(group: number, { page, mask }: PageRows): Blob {
    const blob = this.blob(group, page);
    if (blob !== undefined && contains(blob.mask, mask)) return blob;
    throw new ServiceError(invalidRequest(`parent: it must hold page ${String(page)} of group ${String(group)}; it does not`, "parent"));
  }
}

function isOfOneKind(parent: Snapshot, { identity }: PutOrder, layout: string): boolean {
  return parent.layout === layout && parent.identity.model === identity.model && parent.identity.tokenizer === identity.tokenizer;
}

const placeOf = ({ group, page }: Pick<Placement, "group" | "page">) => `${String(group)}:${String(page)}`;
