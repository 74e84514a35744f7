/** Whether a model can answer now, and where. */
import type { ModelDescription } from "../contracts/engine.ts";
import type { BackendKind, ModelAvailability } from "../contracts/pool.ts";
import type { CatalogEntry } from "./catalog.ts";
import { notPrepared } from "./failures.ts";
import { newest, whyUnavailable } from "./version.ts";

export interface ModelStatus {
  readonly status: ModelAvailability["status"];
  /** Words for people where it is not ready; null where it is. */
  readonly reason: string | null;
  /** Kinds of backends that have it now. */
  readonly kinds: readonly BackendKind[];
}

/** What the pool says, or why it says nothing. */
export type PoolAnswer =
  { readonly descriptions: readonly ModelDescription[]; readonly availability: readonly ModelAvailability[] } | { readonly away: string };

export function statusOf({ card, tokenizer }: CatalogEntry, pool: PoolAnswer): ModelStatus {
  const unavailable = (reason: string): ModelStatus => ({ status: "unavailable", reason, kinds: [] });
  if (tokenizer === null) return unavailable(notPrepared(card.id, card.sha256 !== null));
  if ("away" in pool) return unavailable(pool.away);
  if (newest(card, pool.descriptions) === undefined) return unavailable(whyUnavailable(card, pool.descriptions));
  const found = pool.availability.find(({ id }) => id === card.id);
  if (found === undefined) return unavailable(whyUnavailable(card, []));
  return { status: found.status, reason: found.reason === "" ? null : found.reason, kinds: found.kinds };
}
