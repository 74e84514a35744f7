/** Reaches into the stores of the session Worker, to break them. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { tenantOf } from "../../../workers/gateway/middleware/tenant.ts";
import type { Dice } from "./dice.ts";

interface Stores {
  readonly TENANT_OBJECT: DurableObjectNamespace;
  readonly SNAPSHOTS: R2Bucket;
  readonly PREFIXES: KVNamespace;
}

const stores = () => env as unknown as Stores;

export { tenantOf };

/** Spoils one thing of a tenant's, as disks and people do. */
export async function damageStore(tenant: string, dice: Dice): Promise<string> {
  const [name, statement] = dice.of([
    [
      "a byte",
      "UPDATE chunks SET bytes = substr(bytes, 1, length(bytes) - 1) || x'00' WHERE rowid = (SELECT rowid FROM chunks ORDER BY random() LIMIT 1)",
    ],
    [
      "a chunk cut",
      "UPDATE chunks SET bytes = substr(bytes, 1, length(bytes) / 2) WHERE rowid = (SELECT rowid FROM chunks ORDER BY random() LIMIT 1)",
    ],
    ["a chunk gone", "DELETE FROM chunks WHERE rowid = (SELECT rowid FROM chunks ORDER BY random() LIMIT 1)"],
    [
      "another's chunk",
      "UPDATE chunks SET bytes = (SELECT bytes FROM chunks ORDER BY random() LIMIT 1) WHERE rowid = (SELECT rowid FROM chunks ORDER BY random() LIMIT 1)",
    ],
    ["a snapshot gone", "DELETE FROM snapshots WHERE key = (SELECT key FROM snapshots ORDER BY random() LIMIT 1)"],
    ["a length", "UPDATE snapshots SET tokens = tokens + 1 WHERE key = (SELECT key FROM snapshots ORDER BY random() LIMIT 1)"],
    ["copies", ""],
  ] as const);
  if (statement === "") {
    const { keys } = await stores().PREFIXES.list();
    for (const key of keys.slice(0, 3)) await stores().PREFIXES.put(key.name, new Uint8Array(dice.below(500)));
  } else {
    await runInDurableObject(stores().TENANT_OBJECT.getByName(tenant), (_object, state) => {
      state.storage.sql.exec(statement);
    });
  }
  return name;
}
