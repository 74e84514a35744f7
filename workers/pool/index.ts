/** The pool Worker: no public routes, only the RPC surface that the gateway and the session Worker are bound to. */
import { WorkerEntrypoint } from "cloudflare:workers";
import { internalFailure, unwrap } from "../contracts/call.ts";
import type { GenerateRequest, ModelDescription, Outcome } from "../contracts/engine.ts";
import { ServiceError } from "../contracts/errors.ts";
import type { ModelAvailability, NodeMessage, NodeReply, PlacedStream, PlacementWishes, PoolBackend } from "../contracts/pool.ts";
import { describeCause, logLine } from "../observe/log-line.ts";
import type { PoolEnvironment } from "./environment.ts";
import { tellRegistry } from "./registry/tell.ts";

export { PoolObject } from "./registry/pool-object.ts";

export class PoolService extends WorkerEntrypoint<PoolEnvironment> implements PoolBackend {
  async models(): Promise<Outcome<readonly ModelDescription[]>> {
    return await this.#reach(async () => structuredClone(await fromEngine(this.env.ENGINE.models())));
  }

  async availability(ids: readonly string[]): Promise<Outcome<readonly ModelAvailability[]>> {
    return await this.#reach(async () => {
      const [models, { loaded }] = await Promise.all([fromEngine(this.env.ENGINE.models()), this.env.ENGINE.load()]);
      const has = new Set(models.map(({ id }) => id));
      return [...new Set([...has, ...ids])].map((id) =>
        has.has(id)
          ? {
              id,
              status: loaded ? "ready" : "cold",
              reason: loaded ? "" : "its weights are loaded with the first request",
              kinds: ["engine"],
            }
          : { id, status: "unavailable", reason: "no backend has it", kinds: [] },
      );
    });
  }

  async ready(): Promise<Outcome<null>> {
    return await this.#reach(() => fromEngine(this.env.ENGINE.ready()));
  }

  async run(request: GenerateRequest, _wishes: PlacementWishes): Promise<Outcome<PlacedStream>> {
    return await this.#reach(async () => ({
      placed: { backend: "engine", kind: "engine", reasons: ["the only backend"] },
      events: await fromEngine(this.env.ENGINE.generate(request)),
    }));
  }

  async tell(message: NodeMessage): Promise<Outcome<NodeReply>> {
    return await this.#reach(() => tellRegistry(this.env, message));
  }

  async #reach<T>(call: () => Promise<T>): Promise<Outcome<T>> {
    try {
      return { ok: true, value: await call() };
    } catch (cause) {
      if (cause instanceof ServiceError) {
        if (cause.failure.code === "configuration_invalid") logLine("error", "configuration_invalid", { cause: cause.message });
        return { ok: false, failure: cause.failure };
      }
      logLine("error", "pool_defect", { cause: describeCause(cause) });
      return { ok: false, failure: internalFailure };
    }
  }
}

const fromEngine = <T>(call: Promise<Outcome<T>>): Promise<T> =>
  unwrap("engine", call, (cause) => {
    logLine("error", "service_unreachable", { service: "engine", cause: describeCause(cause) });
  });

export default {
  fetch(): Response {
    return new Response("Not found\n", { status: 404 });
  },
} satisfies ExportedHandler;
