/** The session Worker: no public routes, only the RPC surface that the gateway is bound to. */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { SessionEnvironment } from "./environment.ts";

export { SessionObject } from "./sessions/session-object.ts";
export { ShareObject } from "./sessions/share-object.ts";
export { TenantObject } from "./snapshots/tenant-object.ts";
export { StreamObject } from "./streams/stream-object.ts";

export class SessionService extends WorkerEntrypoint<SessionEnvironment> {}

export default {
  fetch(): Response {
    return new Response("Not found\n", { status: 404 });
  },
} satisfies ExportedHandler;
