/** The configuration that a Worker is deployed with: its wrangler.toml under the deployment's names, with its variables and resources. */
import { resolve } from "node:path";
import type { Unstable_RawConfig } from "wrangler";
import { deployedName } from "./deployed-name.ts";
import type { Resources } from "./resources.ts";
import type { DeploySettings } from "./settings-file.ts";
import type { Worker } from "./workers.ts";

/** The role that the public reaches. */
export const publicRole = "gateway";
const poolRole = "pool";

export function deployedConfiguration(worker: Worker, settings: DeploySettings, resources: Resources): Unstable_RawConfig {
  const { raw, folder, role } = worker;
  const { main = "", assets, services, durable_objects: objects, kv_namespaces: namespaces, r2_buckets: buckets } = raw;
  return {
    ...raw,
    name: deployedName(settings, worker.name),
    main: resolve(folder, main),
    vars: { ...raw.vars, ...settings.variables[role] },
    ...(assets?.directory === undefined ? {} : { assets: { ...assets, directory: resolve(folder, assets.directory) } }),
    ...(services === undefined ? {} : { services: services.map((one) => ({ ...one, service: deployedName(settings, one.service) })) }),
    ...(objects === undefined ? {} : { durable_objects: { bindings: (objects.bindings ?? []).map((one) => boundObject(settings, one)) } }),
    ...(namespaces === undefined
      ? {}
      : { kv_namespaces: namespaces.map((one) => ({ ...one, id: resources.namespaces.get(one.binding) ?? "" })) }),
    ...(buckets === undefined
      ? {}
      : { r2_buckets: buckets.map((one) => ({ ...one, bucket_name: resources.buckets.get(one.binding) ?? "" })) }),
    ...(role === publicRole ? reachedAt(settings) : {}),
    ...(role === poolRole && settings.poolNetwork !== undefined
      ? { vpc_networks: [{ binding: "POOL_NETWORK", ...settings.poolNetwork }] }
      : {}),
  };
}

type ObjectBinding = NonNullable<NonNullable<Unstable_RawConfig["durable_objects"]>["bindings"]>[number];

/** Objects of another Worker, under the deployment's name. */
function boundObject(settings: DeploySettings, binding: ObjectBinding): ObjectBinding {
  const { script_name: script } = binding;
  return script === undefined ? binding : { ...binding, script_name: deployedName(settings, script) };
}

function reachedAt({ domain }: DeploySettings): Unstable_RawConfig {
  return domain === undefined ? { workers_dev: true } : { workers_dev: false, routes: [{ pattern: domain, custom_domain: true }] };
}
