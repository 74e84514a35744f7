/** Names of pages by what they hold, so that equal ones are stored once. Keyed per tenant: a name tells nobody what a page holds. */
import type { ModelIdentity } from "../contract.ts";
import { toHex } from "../../../encoding/hex.ts";
import type { TenantKeys } from "../seal/tenant-keys.ts";

export interface PagePlace {
  readonly identity: ModelIdentity;
  /** Of all rows of the file (`layoutOf`). */
  readonly layout: string;
  readonly group: number;
  readonly page: number;
  readonly mask: number;
}

export async function pageName(keys: TenantKeys, place: PagePlace, rows: Uint8Array): Promise<string> {
  const { identity, layout, group, page, mask } = place;
  const facts = new TextEncoder().encode(JSON.stringify(["page", identity.model, identity.tokenizer, layout, group, page, mask]));
  const bytes = new Uint8Array(facts.length + rows.length);
  bytes.set(facts);
  bytes.set(rows, facts.length);
  return toHex(new Uint8Array(await crypto.subtle.sign("HMAC", await keys.naming(), bytes)));
}
