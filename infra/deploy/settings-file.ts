/** What a deployment is called, where it is reached, and its Workers' variables: a JSON file of the operator's, without secrets. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import * as z from "zod";
import { secretsOf } from "./secrets.ts";

const settings = z.strictObject({
  /** What the names of Workers, bucket and namespace begin with: several deployments fit into one account. */
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,39}$/, { message: "must be 1 to 40 small letters, digits or hyphens, a letter first" })
    .default("spikingbrain"),
  /** A host of a zone of the account; the gateway is at `NAME-gateway.SUBDOMAIN.workers.dev` without one. */
  domain: z
    .string()
    .regex(/^(?=.{4,253}$)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/, {
      message: "must be a host in small letters, such as api.example.org",
    })
    .optional(),
  /** Without `API_KEYS` anybody may call: true says that this is meant. */
  open: z.boolean().default(false),
  /** Of each Worker, by its variable's name. */
  variables: z.record(z.string(), z.record(z.string(), z.string())).default({}),
  /** A private network that replicas are reached through (Workers VPC): a tunnel of the account, or a network. */
  poolNetwork: z.union([z.strictObject({ tunnel_id: z.string().min(1) }), z.strictObject({ network_id: z.string().min(1) })]).optional(),
});

export type DeploySettings = z.output<typeof settings>;

/** `known`: the variables of each Worker. Without a file all has its default. @throws Error that names the field, the rule and the value. */
export function deploySettings(path: string | undefined, known: ReadonlyMap<string, ReadonlySet<string>>): DeploySettings {
  if (path === undefined) return settings.parse({});
  const parsed = settings.safeParse(parseJson(path));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue?.path.map(String).join(".") ?? "";
    throw new Error(`${path}: ${field === "" ? "it" : `'${field}'`}: ${issue?.message ?? "is not valid"}.`);
  }
  for (const [worker, variables] of Object.entries(parsed.data.variables)) {
    const names = known.get(worker);
    if (names === undefined) throw new Error(`${path}: 'variables.${worker}': must be one of ${[...known.keys()].join(", ")}.`);
    for (const name of Object.keys(variables)) {
      if (secretsOf(worker).includes(name))
        throw new Error(`${path}: 'variables.${worker}.${name}': is a secret; it belongs into the secrets' file.`);
      if (!names.has(name)) throw new Error(`${path}: 'variables.${worker}.${name}': the ${worker} Worker has no such variable.`);
    }
  }
  return parsed.data;
}

function parseJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(resolve(path), "utf8");
  } catch (cause) {
    throw new Error(`${path} cannot be read (${cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)}).`, {
      cause,
    });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new Error(`${path} must be JSON; ${cause instanceof Error ? cause.message : "it is not"}.`, { cause });
  }
}
