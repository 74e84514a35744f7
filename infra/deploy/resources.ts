/** The bucket and the namespace that states lie in: looked up by name, and made where they are not there. */
import * as z from "zod";
import { deployedName } from "./deployed-name.ts";
import type { DeploySettings } from "./settings-file.ts";
import { baseName, type Worker } from "./workers.ts";
import { wranglerJson, type Wrangler } from "./wrangler.ts";

/** By binding. */
export interface Resources {
  /** Names of R2 buckets. */
  readonly buckets: ReadonlyMap<string, string>;
  /** Ids of KV namespaces. */
  readonly namespaces: ReadonlyMap<string, string>;
}

const namespaceList = z.array(z.looseObject({ id: z.string(), title: z.string() }));

/** As they are called, without asking Cloudflare: ids stand for themselves. */
export function namedResources(workers: readonly Worker[], settings: DeploySettings): Resources {
  const buckets = workers.flatMap(({ raw }) =>
    (raw.r2_buckets ?? []).map((one) => [one.binding, deployedName(settings, one.bucket_name ?? "")] as const),
  );
  const namespaces = workers.flatMap(({ raw }) =>
    (raw.kv_namespaces ?? []).map(({ binding }) => [binding, titleOf(settings, binding)] as const),
  );
  return { buckets: new Map(buckets), namespaces: new Map(namespaces) };
}

/** @throws Error with wrangler's own words where one can be neither found nor made. */
export async function ensureResources(run: Wrangler, named: Resources, log: (line: string) => void): Promise<Resources> {
  for (const bucket of named.buckets.values()) await ensureBucket(run, bucket, log);
  const namespaces = new Map<string, string>();
  for (const [binding, title] of named.namespaces) namespaces.set(binding, await ensureNamespace(run, title, log));
  return { buckets: named.buckets, namespaces };
}

const titleOf = (settings: DeploySettings, binding: string) => deployedName(settings, `${baseName}-${binding.toLowerCase()}`);

async function ensureBucket(run: Wrangler, bucket: string, log: (line: string) => void): Promise<void> {
  if ((await run(["r2", "bucket", "info", bucket, "--json"])).status === 0) return;
  const { status, output } = await run(["r2", "bucket", "create", bucket]);
  if (status !== 0) throw new Error(`The R2 bucket "${bucket}" can be neither found nor made:\n${output.trim()}`);
  log(`Made the R2 bucket "${bucket}".`);
}

async function ensureNamespace(run: Wrangler, title: string, log: (line: string) => void): Promise<string> {
  const found = await findNamespace(run, title);
  if (found !== undefined) return found;
  const { status, output } = await run(["kv", "namespace", "create", title]);
  if (status !== 0) throw new Error(`The KV namespace "${title}" can be neither found nor made:\n${output.trim()}`);
  log(`Made the KV namespace "${title}".`);
  const made = await findNamespace(run, title);
  if (made === undefined) throw new Error(`The KV namespace "${title}" was made and is not in the list of the account's.`);
  return made;
}

async function findNamespace(run: Wrangler, title: string): Promise<string | undefined> {
  return namespaceList.parse(await wranglerJson(run, ["kv", "namespace", "list"])).find((one) => one.title === title)?.id;
}
