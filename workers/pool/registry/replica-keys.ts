/**
 * With what the pool calls a replica: its own key, and the token that the tunnel before it asks for. Both are in no snapshot: each isolate makes them
 * where it needs them.
 */
import { misconfigured, type Variables } from "../../settings.ts";
import type { Replica } from "../replica.ts";
import { nodeSecrets, replicaKey } from "./node-credential.ts";
import { staticReplicas, type StaticVariables } from "./static-list.ts";

/** A service token of Cloudflare Access. */
export interface AccessToken {
  readonly id: string;
  readonly secret: string;
}

export interface Credentials {
  /** Null where it asks for none, or is not known any more. */
  readonly key: string | null;
  /** Null where there is none, or it is none of this replica's business. */
  readonly access: AccessToken | null;
}

type KeyVariables = Variables<"POOL_NODES" | "POOL_ACCESS"> & StaticVariables;

/** @throws ServiceError `configuration_invalid`. */
export async function credentialsOf(
  variables: KeyVariables,
  { name, node, address }: Pick<Replica, "name" | "node" | "address">,
): Promise<Credentials> {
  // Over plain HTTP whoever is on the way reads it.
  const token = address.startsWith("https://") ? accessToken(variables) : null;
  if (node === null) {
    const listed = staticReplicas(variables, 0).find(({ replica }) => replica.name === name);
    // Others' servers stand in that list, too.
    return { key: listed?.key ?? null, access: listed?.access === true ? token : null };
  }
  const secret = nodeSecrets(variables).get(node);
  return secret === undefined ? { key: null, access: null } : { key: await replicaKey(secret, name), access: token };
}

/** `POOL_ACCESS`; null where it is unset. @throws ServiceError `configuration_invalid`, which does not tell it. */
export function accessToken({ POOL_ACCESS: text }: Variables<"POOL_ACCESS">): AccessToken | null {
  if (text === undefined || text === "") return null;
  const [, id, secret] = /^([\w.-]{1,128}):([\w.-]{16,256})$/.exec(text) ?? [];
  if (id === undefined || secret === undefined)
    throw misconfigured("POOL_ACCESS", "must be a service token of Cloudflare Access, CLIENT_ID:CLIENT_SECRET");
  return { id, secret };
}
