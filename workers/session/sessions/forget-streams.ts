/** Ends and forgets a tenant's streams, wherever they run. */
import { reached } from "../calls.ts";
import type { SessionEnvironment } from "../environment.ts";
import { streamObjectName } from "../ids/ids.ts";

/** @throws ServiceError where a call to an object breaks. */
export async function forgetStreams(
  environment: Pick<SessionEnvironment, "STREAM_OBJECT">,
  tenant: string,
  streams: readonly string[],
): Promise<void> {
  const byObject = Map.groupBy(streams, (stream) => streamObjectName(stream) ?? "");
  for (const [name, some] of byObject) await reached(environment.STREAM_OBJECT.getByName(name)).forget(tenant, some);
}
