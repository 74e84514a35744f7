/** `POOL_STATIC`: replicas that do not register themselves, such as a plain vLLM. They are always there; health is what calls to them show. */
import * as z from "zod";
import { misconfigured, rememberedSettings, type Variables } from "../../settings.ts";
import type { Replica } from "../replica.ts";
import { addressProblem, addressRules, addressVariables, type AddressVariables } from "./address.ts";
import { asFailure, modelsSchema, placeSchema, replicaName, weightSchema } from "./message.ts";

const mostReplicas = 256;

const listSchema = z
  .array(
    z.strictObject({
      name: replicaName,
      kind: z.enum(["vllm", "openai"]),
      address: z.string(),
      /** Whether it is behind the deployment's own Cloudflare Access, whose token it then gets. */
      access: z.boolean().default(false),
      key: z
        .string()
        .regex(/^[\x21-\x7e]{1,512}$/, { message: "must be 1 to 512 printable ASCII characters without white space" })
        .optional(),
      models: modelsSchema,
      weight: weightSchema.default(1),
      place: placeSchema.default(null),
    }),
  )
  .max(mostReplicas)
  .refine((replicas) => new Set(replicas.map(({ name }) => name)).size === replicas.length, { message: "must have each name once" });

export interface StaticReplica {
  readonly replica: Replica;
  /** What it knows its callers by; null where it asks for nothing. */
  readonly key: string | null;
  /** Whether it gets the token of `POOL_ACCESS`. */
  readonly access: boolean;
}

export type StaticVariables = Variables<"POOL_STATIC"> & AddressVariables;

/** None where it is unset. `now`: Unix milliseconds. @throws ServiceError `configuration_invalid`, which tells no key. */
export function staticReplicas(variables: StaticVariables, now: number): readonly StaticReplica[] {
  return listed(variables).map((one) => ({ ...one, replica: { ...one.replica, heardAt: now } }));
}

/** Requests ask for it, and a list may be long. */
const listed = rememberedSettings(["POOL_STATIC", ...addressVariables], (variables: StaticVariables): readonly StaticReplica[] => {
  const text = variables.POOL_STATIC;
  if (text === undefined || text === "") return [];
  const rules = addressRules(variables);
  return parsed(text).map(({ name, kind, address, key, access, models, weight, place }) => {
    const problem = addressProblem(address, rules, true);
    if (problem !== undefined)
      throw misconfigured("POOL_STATIC", `must have addresses that the pool may call: that of ${name} must ${problem}`);
    const load = { running: 0, waiting: 0, mostRequests: null, freeShare: null, loaded: true };
    return {
      replica: { name, node: null, kind, address, models, weight, place, load, draining: false, heardAt: 0 },
      key: key ?? null,
      access,
    };
  });
});

function parsed(text: string): z.infer<typeof listSchema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw misconfigured("POOL_STATIC", "must be a JSON list of replicas");
  }
  const result = listSchema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  throw misconfigured(
    "POOL_STATIC",
    `must be a JSON list of replicas, each with its fields: ${asFailure(result.error.issues).failure.message}`,
  );
}
