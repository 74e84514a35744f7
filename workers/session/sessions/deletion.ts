/** How what a tenant has is deleted, also where objects that know of it are damaged. */
import { ServiceError } from "../../contracts/errors.ts";
import type { TenantId } from "../../contracts/tenant.ts";
import { reached } from "../calls.ts";
import type { SessionEnvironment } from "../environment.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import type { TenantObject } from "../snapshots/tenant-object.ts";
import { guarded, isStorageCorrupt, unlessBroken, type Objects } from "../storage/broken.ts";
import { ownersOf } from "./contract.ts";
import { directoryOf, sessionAt, type SessionSurface } from "./find-session.ts";
import { forgetStreams } from "./forget-streams.ts";
import type { ShareObject } from "./share-object.ts";

export type TenantSurface = SnapshotStore & Pick<TenantObject, "usage" | "charged" | "deleteAll">;
export type ShareSurface = Pick<ShareObject, "begin" | "open" | "get" | "end">;

/** What sessions' objects hold, as the account counts it. */
const sessionCharges = ["sessions", "contexts", "shares"] as const;

export function shareAt(environment: Pick<SessionEnvironment, "SHARE_OBJECT">, id: string): ShareSurface {
  const objects: Objects<ShareSurface> = environment.SHARE_OBJECT;
  return reached(guarded(objects, id, "share", (stub) => stub.get()));
}

export function tenantAt(environment: Pick<SessionEnvironment, "TENANT_OBJECT">, tenant: TenantId): TenantSurface {
  const objects: Objects<TenantSurface> = environment.TENANT_OBJECT;
  return reached(guarded(objects, tenant, "store", (stub) => stub.usage()));
}

/**
 * All that a tenant has. Each session, listed or not, stands in the directory and in the account before it is made: where one of the two is
 * damaged, the other tells of it. @throws ServiceError `storage_corrupt`, at the end, where a file does not open that cannot be deleted from here.
 */
export async function deleteTenant(environment: SessionEnvironment, tenant: TenantId): Promise<void> {
  const directory = directoryOf(environment, tenant);
  const store = tenantAt(environment, tenant);
  const ids = new Set<string>();
  await unlessBroken(async () => {
    for (const kind of sessionCharges) for (const id of await store.charged(kind)) ids.add(id);
  });
  const isListWhole = await unlessBroken(async () => {
    for (const id of await directory.all()) ids.add(id);
    for (const share of await directory.shares()) await endShare(environment, tenant, share);
  });
  for (const id of ids) await deleteAny(environment, tenant, id);
  // Of no session: their charges say where they are.
  await unlessBroken(async () => {
    await forgetStreams(environment, tenant, await store.charged("streams"));
  });
  if (!isListWhole) await directory.wipe();
  await store.deleteAll();
}

/** What a session's object can no longer do itself. Where the runtime does not open the file, it stays for whoever runs the service; the id is free. */
export async function deleteBroken(environment: SessionEnvironment, tenant: TenantId, id: string, object: SessionSurface): Promise<void> {
  const directory = directoryOf(environment, tenant);
  await unlessBroken(async () => {
    for (const share of await directory.sharesOf(id)) await endShare(environment, tenant, share);
  });
  await unlessBroken(() => tenantAt(environment, tenant).release(ownersOf(id)));
  // As long as it is listed, it is there.
  await unlessGone(() => object.wipe());
  await directory.remove(id);
}

/** Listed or not; nothing tells of it then. */
async function deleteAny(environment: SessionEnvironment, tenant: TenantId, id: string): Promise<void> {
  const object = sessionAt(environment, tenant, id);
  const isWhole = await unlessGone(() => object.delete(tenant));
  await unlessBroken(async () => {
    // One that was announced and never made is there for the directory alone.
    if (isWhole) await directoryOf(environment, tenant).remove(id);
    else await deleteBroken(environment, tenant, id, object);
  });
}

/** A share whose own file is damaged is shown to nobody, and what it shows stands in the directory as all that is not listed. */
async function endShare(environment: SessionEnvironment, tenant: TenantId, share: string): Promise<void> {
  await unlessBroken(() => shareAt(environment, share).end(tenant));
  await directoryOf(environment, tenant).removeShare(share);
}

/** The object of a session that is not listed says that there is none where its file is damaged. Whether it was done. */
async function unlessGone(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (cause) {
    const isGone = cause instanceof ServiceError && cause.failure.code === "session_not_found";
    if (!isGone && !isStorageCorrupt(cause)) throw cause;
    return false;
  }
}
