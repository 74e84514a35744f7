/** With which key the pool calls a replica. Keys are in no snapshot: each isolate makes them where it needs them. */
import type { Variables } from "../../settings.ts";
import type { Replica } from "../replica.ts";
import { nodeSecrets, replicaKey } from "./node-credential.ts";
import { staticReplicas } from "./static-list.ts";

/** Null where it asks for none, or is not known any more. @throws ServiceError `configuration_invalid`. */
export async function keyOf(
  variables: Variables<"POOL_NODES" | "POOL_STATIC" | "POOL_HOSTS" | "POOL_LOOPBACK">,
  { name, node }: Pick<Replica, "name" | "node">,
): Promise<string | null> {
  if (node === null) return staticReplicas(variables, 0).find(({ replica }) => replica.name === name)?.key ?? null;
  const secret = nodeSecrets(variables).get(node);
  return secret === undefined ? null : await replicaKey(secret, name);
}
