/** By what name replicas know who asks. */
import { toHex } from "../../encoding/hex.ts";

/** Of all who have no share. */
const nobodys = "shared";
const digest = /^[0-9a-f]{64}$/;

/** A name of letters and digits for a share: the share itself where it is a digest, as the session Worker's are, and its digest otherwise. */
export async function tenantOf(share: string | null | undefined): Promise<string> {
  if (share === null || share === undefined) return nobodys;
  if (digest.test(share)) return share;
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(share))));
}
