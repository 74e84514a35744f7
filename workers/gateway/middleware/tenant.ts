/**
 * Whose request it is. A tenant is whoever holds a key: everything that is kept belongs to the key it came with, and is found with no other.
 * Runs after the key was checked.
 */
import { toHex } from "../../encoding/hex.ts";
import { createMiddleware } from "hono/factory";
import type { GatewayTypes } from "../environment.ts";
import { sentKey } from "./api-key.ts";

/** Domain of the digest: the same key hashed for another purpose gives another value. */
const tenantDomain = "spikingbrain tenant 1\n";
const tenantBytes = 16;

export const tenant = createMiddleware<GatewayTypes>(async (c, next) => {
  const key = sentKey(c.req.raw.headers);
  c.set("tenant", key === "" ? null : await tenantOf(key));
  return next();
});

/** A name for the holder of a key, from which the key cannot be told. */
export async function tenantOf(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(tenantDomain + key));
  return toHex(new Uint8Array(digest, 0, tenantBytes));
}
