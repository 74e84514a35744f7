/** Which secrets each Worker gets with this deployment: those of the file, what is asked for, and what Cloudflare has already stays. */
import * as z from "zod";
import { gatewaySettings } from "../../workers/gateway/settings.ts";
import { addressRules } from "../../workers/pool/registry/address.ts";
import { nodeSecrets } from "../../workers/pool/registry/node-credential.ts";
import { accessToken } from "../../workers/pool/registry/replica-keys.ts";
import { registrySettings } from "../../workers/pool/registry/settings.ts";
import { staticReplicas } from "../../workers/pool/registry/static-list.ts";
import { checkSettings } from "../../workers/session/settings.ts";
import { deployedName } from "./deployed-name.ts";
import { requiredSecretsOf, secretsOf, type Secrets } from "./secrets.ts";
import type { DeploySettings } from "./settings-file.ts";
import type { Worker } from "./workers.ts";
import { wranglerJson, type Wrangler } from "./wrangler.ts";

export interface SecretNeeds {
  readonly run: Wrangler;
  readonly settings: DeploySettings;
  /** Asks the operator without showing what is typed; undefined where nobody can be asked. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
}

const listed = z.array(z.looseObject({ name: z.string() }));

const howToMake: Readonly<Record<string, string>> = {
  STATE_KEYS:
    'make one with `echo "1:$(openssl rand -base64 32)"`, and keep it: who loses it loses the stored states, and ids no longer hold',
  API_KEYS: "keys that may call, separated by commas; without any the API is open, which '\"open\": true' in the settings says is meant",
};

/** By Worker's role. @throws Error that names what is missing or breaks its rule; no value is told. */
export async function givenSecrets(workers: readonly Worker[], file: Secrets, needs: SecretNeeds): Promise<ReadonlyMap<string, Secrets>> {
  const all = new Map<string, Secrets>();
  for (const worker of workers) {
    const given = new Map(secretsOf(worker.role).flatMap((name) => (file.has(name) ? [[name, file.get(name) ?? ""] as const] : [])));
    const missing = needed(worker, needs.settings).filter((name) => !given.has(name));
    const existing = missing.length === 0 ? [] : await existingSecrets(needs, worker);
    for (const name of missing.filter((one) => !existing.includes(one))) given.set(name, await askedFor(name, needs));
    all.set(worker.role, given);
  }
  checkSecrets(all, needs.settings);
  return all;
}

/** By the rules of who reads them. @throws ServiceError that tells no value. */
export function checkSecrets(
  secrets: ReadonlyMap<string, Secrets>,
  { variables, poolNetwork }: Pick<DeploySettings, "variables" | "poolNetwork">,
): void {
  const of = (role: string): Readonly<Record<string, string>> => ({ ...variables[role], ...Object.fromEntries(secrets.get(role) ?? []) });
  gatewaySettings(of("gateway"));
  checkSettings(of("session"));
  registrySettings(of("pool"));
  const pool = { ...of("pool"), ...(poolNetwork === undefined ? {} : { POOL_NETWORK: poolNetwork }) };
  addressRules(pool);
  nodeSecrets(of("pool"));
  accessToken(of("pool"));
  staticReplicas(pool, Date.now());
}

function needed({ role }: Worker, { open }: DeploySettings): readonly string[] {
  return requiredSecretsOf(role).filter((name) => name !== "API_KEYS" || !open);
}

/** Their names; none of a Worker that is not there yet. */
async function existingSecrets({ run, settings }: SecretNeeds, { name }: Worker): Promise<string[]> {
  const args = ["secret", "list", "--name", deployedName(settings, name), "--format", "json"];
  try {
    return listed.parse(await wranglerJson(run, args)).map((one) => one.name);
  } catch {
    return [];
  }
}

async function askedFor(name: string, { ask }: SecretNeeds): Promise<string> {
  const hint = howToMake[name] ?? "";
  if (ask === undefined) throw new Error(`${name} is missing: put it into the file of --secrets (${hint}).`);
  const value = (await ask(`${name} (${hint}): `)).trim();
  if (value === "") throw new Error(`${name} must not be empty.`);
  return value;
}
