/** The object of a session or context that was given out to a tenant. */
import type { DurableObject } from "cloudflare:workers";
import type { TenantId } from "../../contracts/tenant.ts";
import { reached } from "../calls.ts";
import type { SessionEnvironment } from "../environment.ts";
import { sessionNotFound } from "../failures.ts";
import { isGivenOut } from "../ids/ids.ts";
import { guarded, type Objects } from "../storage/broken.ts";
import { sessionObjectName } from "./contract.ts";
import type { DirectoryObject } from "./directory-object.ts";
import type { SessionObject } from "./session-object.ts";

export type SessionSurface = Pick<
  SessionObject,
  | "create"
  | "facts"
  | "turns"
  | "rename"
  | "rewind"
  | "noteMetadata"
  | "countTurn"
  | "response"
  | "deleteResponse"
  | "copy"
  | "delete"
  | "appendDocument"
  | "fillDocument"
  | "followDocument"
  | "beginTurn"
  | "standingBase"
  | "rebuildBase"
  | "readTokens"
  | "endTurn"
  | "wipe"
>;

type Needs = Pick<SessionEnvironment, "SESSION_OBJECT" | "DIRECTORY_OBJECT" | "STATE_KEYS">;

const listedId = /^(sess|ctx)_[0-9a-f]{32,48}$/;

/** Without asking whether it was. */
export function sessionAt(
  environment: Pick<Needs, "SESSION_OBJECT" | "DIRECTORY_OBJECT">,
  tenant: TenantId,
  id: string,
  thing: "conversation" | "context" | "share" = id.startsWith("ctx_") ? "context" : "conversation",
): SessionSurface {
  const objects: Objects<SessionSurface> = environment.SESSION_OBJECT;
  // A file that the runtime does not open cannot be deleted from here: one that nobody lists any more is deleted all the same.
  const instead = async () => {
    const isListed =
      thing === "share" ||
      (await directoryOf(environment, tenant)
        .has(id)
        .catch(() => true));
    return isListed ? undefined : sessionNotFound();
  };
  return reached(guarded(objects, sessionObjectName(tenant, id), thing, (stub) => stub.facts(), instead));
}

/** Undefined for an id that the tenant was never given; no object is touched for it but the tenant's directory. */
export async function findSession(
  environment: Needs,
  tenant: TenantId,
  id: string,
  ...prefixes: readonly ("sess" | "ctx")[]
): Promise<SessionSurface | undefined> {
  const isKnown = (await isGivenOut(environment, id, tenant, ...prefixes)) || (await isListed(environment, tenant, id, prefixes));
  return isKnown ? sessionAt(environment, tenant, id) : undefined;
}

/** A session outlives the secret that its id was signed with: the directory still knows it. */
async function isListed(environment: Needs, tenant: TenantId, id: string, prefixes: readonly ("sess" | "ctx")[]): Promise<boolean> {
  const prefix = listedId.exec(id)?.[1];
  if (!prefixes.some((one) => one === prefix)) return false;
  return await directoryOf(environment, tenant).has(id);
}

/** As seen over RPC. */
export type DirectorySurface = {
  [Name in Exclude<keyof DirectoryObject, keyof DurableObject>]: (
    ...values: Parameters<DirectoryObject[Name]>
  ) => Promise<Awaited<ReturnType<DirectoryObject[Name]>>>;
};

export function directoryOf(environment: Pick<Needs, "DIRECTORY_OBJECT">, tenant: TenantId): DirectorySurface {
  const objects: Objects<DirectorySurface> = environment.DIRECTORY_OBJECT;
  return reached(guarded(objects, tenant, "directory", (stub) => stub.count()));
}
