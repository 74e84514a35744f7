/** The session Worker: no public routes, only the RPC surface that the gateway is bound to. */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { Outcome } from "../contracts/engine.ts";
import type { GenerationOrder, OpenStream, TenantId } from "../contracts/session.ts";
import { streamObjectName } from "../contracts/stream-id.ts";
import { describeCause, logLine } from "../logging/log-line.ts";
import type { SessionEnvironment } from "./environment.ts";
import { objectUnreachable, streamNotFound } from "./failures.ts";
import type { StreamObject } from "./streams/stream-object.ts";

export { SessionObject } from "./sessions/session-object.ts";
export { ShareObject } from "./sessions/share-object.ts";
export { TenantObject } from "./snapshots/tenant-object.ts";
export { StreamObject } from "./streams/stream-object.ts";

export class SessionService extends WorkerEntrypoint<SessionEnvironment> {
  async start(order: GenerationOrder): Promise<Outcome<OpenStream>> {
    return await this.#atStream(order.stream, (object) => object.start(order));
  }

  async attach(tenant: TenantId | null, stream: string, after: number): Promise<Outcome<OpenStream>> {
    return await this.#atStream(stream, (object) => object.attach(tenant, stream, after));
  }

  async stop(tenant: TenantId | null, stream: string): Promise<Outcome<null>> {
    return await this.#atStream(stream, (object) => object.stop(tenant, stream));
  }

  async #atStream<T>(stream: string, call: (object: StreamSurface) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const name = streamObjectName(stream);
    // What is no stream's name makes no object.
    if (name === undefined) return { ok: false, failure: streamNotFound() };
    return await this.#reach(() => call(this.env.STREAM_OBJECT.getByName(name)));
  }

  async #reach<T>(call: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    try {
      return await call();
    } catch (cause) {
      logLine("error", "session_object_unreachable", { cause: describeCause(cause) });
      return { ok: false, failure: objectUnreachable() };
    }
  }
}

type StreamSurface = Pick<StreamObject, "start" | "attach" | "stop">;

export default {
  fetch(): Response {
    return new Response("Not found\n", { status: 404 });
  },
} satisfies ExportedHandler;
