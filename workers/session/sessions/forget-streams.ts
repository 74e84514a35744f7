/** Ends and forgets a tenant's streams, wherever they run. */
import { reached } from "../calls.ts";
import type { SessionEnvironment } from "../environment.ts";
import { streamObjectName } from "../ids/ids.ts";
import { guarded, unlessBroken, type Objects } from "../storage/broken.ts";
import type { TurnStreams } from "./contract.ts";

/** Those whose file is broken cannot be read any more. @throws ServiceError where a call to an object breaks. */
export async function forgetStreams(
  environment: Pick<SessionEnvironment, "STREAM_OBJECT">,
  tenant: string,
  streams: readonly string[],
): Promise<void> {
  const byObject = Map.groupBy(streams, (stream) => streamObjectName(stream) ?? "");
  for (const [name, some] of byObject) await unlessBroken(() => streamsAt(environment, name).forget(tenant, some));
}

function streamsAt(environment: Pick<SessionEnvironment, "STREAM_OBJECT">, name: string): TurnStreams {
  const objects: Objects<TurnStreams> = environment.STREAM_OBJECT;
  return reached(guarded(objects, name, "stream", (stub) => stub.isRunning("")));
}
