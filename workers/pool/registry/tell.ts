/** A node's message, from its bytes to its place in the registry. Whatever can be refused without the registry never reaches it, floods least. */
import { unwrap } from "../../contracts/call.ts";
import { ServiceError } from "../../contracts/errors.ts";
import type { NodeMessage, NodeReply } from "../../contracts/pool.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import type { PoolSnapshot } from "../replica.ts";
import { addressProblem, addressRules, addressVariables } from "./address.ts";
import { bodyInvalid } from "./failures.ts";
import { replicaMessage } from "./message.ts";
import { nodeSecrets, signedMessage } from "./node-credential.ts";
import type { PoolObject, RegistryVariables } from "./pool-object.ts";
import { accessToken } from "./replica-keys.ts";
import { registrySettings } from "./settings.ts";

export interface RegistryEnvironment extends RegistryVariables {
  readonly POOL_OBJECT: DurableObjectNamespace<PoolObject>;
}

/** There is one for the whole pool. */
export function registryOf(environment: RegistryEnvironment): DurableObjectStub<PoolObject> {
  return environment.POOL_OBJECT.getByName("pool");
}

/** What the registry has now. */
export async function snapshotOf(environment: RegistryEnvironment): Promise<PoolSnapshot> {
  return JSON.parse(await registryOf(environment).snapshot()) as PoolSnapshot;
}

export const registryVariables = [
  ...addressVariables,
  ...(["POOL_NODES", "POOL_ACCESS", "POOL_HEARTBEAT_SECONDS", "POOL_EXPIRY_SECONDS"] as const),
] as const;

/** @throws ServiceError that says what is wrong with a variable. */
export function checkRegistry(variables: Pick<RegistryVariables, (typeof registryVariables)[number]>): void {
  registrySettings(variables);
  addressRules(variables);
  nodeSecrets(variables);
  accessToken(variables);
}

/** @throws ServiceError that says why the message is not taken. */
export async function tellRegistry(environment: RegistryEnvironment, message: NodeMessage): Promise<NodeReply> {
  let node = "unknown";
  try {
    checkRegistry(environment);
    const { body, ...facts } = await signedMessage(message, nodeSecrets(environment), Date.now());
    node = facts.node;
    const said = replicaMessage(body);
    const problem = addressProblem(said.address, addressRules(environment));
    if (problem !== undefined) throw bodyInvalid(`'address': must ${problem}.`, "address");
    return await unwrap("pool", registryOf(environment).tell(facts, said), (cause) => {
      logLine("error", "service_unreachable", { service: "pool", cause: describeCause(cause) });
    });
  } catch (cause) {
    if (cause instanceof ServiceError) {
      const { code, param = "" } = cause.failure;
      logLine("info", "node_refused", { node, code, param });
    }
    throw cause;
  }
}
