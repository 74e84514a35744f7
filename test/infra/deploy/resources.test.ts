/** Names and resources of a deployment: what is there is found, what is not is made, and a second run makes nothing. */
import { describe, expect, it } from "vitest";
import { deployedConfiguration } from "../../../infra/deploy/configuration.ts";
import { ensureResources, namedResources } from "../../../infra/deploy/resources.ts";
import type { DeploySettings } from "../../../infra/deploy/settings-file.ts";
import { fails, fakeWrangler, worker } from "./support.ts";

const settings: DeploySettings = { name: "staging", open: false, variables: { session: { STREAM_KEEP_SECONDS: "60" } } };
const session = worker("session", {
  services: [{ binding: "POOL", service: "spikingbrain-pool", entrypoint: "PoolService" }],
  assets: { directory: "../../dist/gateway", binding: "ASSETS" },
  kv_namespaces: [{ binding: "PREFIXES" }],
  r2_buckets: [{ binding: "SNAPSHOTS", bucket_name: "spikingbrain-snapshots" }],
  vars: { STREAM_KEEP_SECONDS: "600", STREAM_GRACE_SECONDS: "10" },
  workers_dev: false,
});
const named = namedResources([session], settings);

/** An account with these. */
function account(buckets: string[], namespaces: { id: string; title: string }[]) {
  return fakeWrangler({
    "r2 bucket info": ({ args }) => (buckets.includes(args[3] ?? "") ? "{}" : fails("The specified bucket does not exist.")()),
    "r2 bucket create": ({ args }) => `made ${String(buckets.push(args[3] ?? ""))}`,
    "kv namespace list": () => `▲ [WARNING] A warning.\n\n${JSON.stringify(namespaces, null, 2)}\n`,
    "kv namespace create": ({ args }) => `made ${String(namespaces.push({ id: "id-2", title: args[3] ?? "" }))}`,
  });
}

describe("resources", () => {
  it("are named after the deployment", () => {
    expect([...named.buckets, ...named.namespaces]).toEqual([
      ["SNAPSHOTS", "staging-snapshots"],
      ["PREFIXES", "staging-prefixes"],
    ]);
  });

  it("are made once", async () => {
    const { run, calls } = account([], [{ id: "id-1", title: "spikingbrain-prefixes" }]);
    const said: string[] = [];
    const first = await ensureResources(run, named, (line) => said.push(line));
    expect(first.namespaces.get("PREFIXES")).toBe("id-2");
    expect(said).toEqual(['Made the R2 bucket "staging-snapshots".', 'Made the KV namespace "staging-prefixes".']);
    calls.length = 0;
    expect(await ensureResources(run, named, (line) => said.push(line))).toEqual(first);
    expect(calls).toEqual(["r2 bucket info staging-snapshots --json", "kv namespace list"]);
    expect(said).toHaveLength(2);
  });

  it("that can't be made are named, with wrangler's words", async () => {
    const { run } = fakeWrangler({ "r2 bucket": fails("Please enable R2 through the dashboard.") });
    await expect(ensureResources(run, named, () => undefined)).rejects.toThrow(
      'The R2 bucket "staging-snapshots" can be neither found nor made:\nPlease enable R2 through the dashboard.',
    );
  });
});

describe("a Worker's configuration", () => {
  it("is the repository's under the deployment's names, with paths that hold anywhere", () => {
    const resources = { buckets: named.buckets, namespaces: new Map([["PREFIXES", "id-2"]]) };
    expect(deployedConfiguration(session, settings, resources)).toEqual({
      name: "staging-session",
      main: "/repository/workers/session/index.ts",
      services: [{ binding: "POOL", service: "staging-pool", entrypoint: "PoolService" }],
      assets: { directory: "/repository/dist/gateway", binding: "ASSETS" },
      kv_namespaces: [{ binding: "PREFIXES", id: "id-2" }],
      r2_buckets: [{ binding: "SNAPSHOTS", bucket_name: "staging-snapshots" }],
      vars: { STREAM_KEEP_SECONDS: "60", STREAM_GRACE_SECONDS: "10" },
      workers_dev: false,
    });
  });

  it("of the gateway has the public address, that of the pool the private network, and no other has either", () => {
    const all = { ...settings, domain: "api.example.org", poolNetwork: { tunnel_id: "t" } };
    expect(deployedConfiguration(worker("gateway"), all, named)).toMatchObject({
      workers_dev: false,
      routes: [{ pattern: "api.example.org", custom_domain: true }],
    });
    expect(deployedConfiguration(worker("gateway"), settings, named)).toMatchObject({ workers_dev: true });
    expect(deployedConfiguration(worker("pool"), all, named)).toMatchObject({
      vpc_networks: [{ binding: "POOL_NETWORK", tunnel_id: "t" }],
    });
    expect(deployedConfiguration(worker("pool"), settings, named)).not.toHaveProperty("vpc_networks");
    for (const role of ["engine", "session"])
      for (const field of ["routes", "vpc_networks"]) expect(deployedConfiguration(worker(role), all, named)).not.toHaveProperty(field);
  });
});
