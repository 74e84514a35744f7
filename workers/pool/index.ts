/** The pool Worker: no public routes, only the RPC surface that the gateway and the session Worker are bound to. */
import { WorkerEntrypoint } from "cloudflare:workers";
import { internalFailure, unwrap } from "../contracts/call.ts";
import type { Caller } from "../contracts/caller.ts";
import type { Outcome } from "../contracts/outcome.ts";
import type { GenerateRequest, ModelDescription } from "../contracts/engine.ts";
import { ServiceError } from "../contracts/errors.ts";
import type { ModelAvailability, NodeMessage, NodeReply, PlacedStream, PlacementWishes, PoolBackend } from "../contracts/pool.ts";
import { describeCause, logLine } from "../observe/log-line.ts";
import { Dispatch } from "./dispatch.ts";
import { isVersion } from "./eligible.ts";
import type { PoolEnvironment } from "./environment.ts";
import { Health } from "./health.ts";
import { availabilityOf, modelsOf } from "./models.ts";
import { WaitQueue, waitQueueDefaults } from "./queue.ts";
import { staticReplicas } from "./registry/static-list.ts";
import { snapshotOf, tellRegistry } from "./registry/tell.ts";
import type { PoolSnapshot } from "./replica.ts";
import { RetryBudget } from "./retry-budget.ts";
import { poolSettings, type PoolSettings } from "./settings.ts";
import { SnapshotCopy, type Sources } from "./snapshot.ts";

export { PoolObject } from "./registry/pool-object.ts";

/** Of the isolate, for all requests. */
const copy = new SnapshotCopy();
const health = new Health(Date.now);
const budget = new RetryBudget(Date.now);
let queue: { readonly milliseconds: number; readonly of: WaitQueue } | undefined;

/** Variables are the same for an isolate's life, but for tests. */
function queueOf(waitMilliseconds: number): WaitQueue {
  if (queue?.milliseconds !== waitMilliseconds) {
    const pool = () => `${String(copy.takenAt)} ${String(health.changes)}`;
    queue = { milliseconds: waitMilliseconds, of: new WaitQueue({ ...waitQueueDefaults, waitMilliseconds, pool }) };
  }
  return queue.of;
}

export class PoolService extends WorkerEntrypoint<PoolEnvironment> implements PoolBackend {
  async models(): Promise<Outcome<readonly ModelDescription[]>> {
    return await this.#reach(async (settings) => modelsOf(await this.#everything(settings)));
  }

  async availability(ids: readonly string[]): Promise<Outcome<readonly ModelAvailability[]>> {
    return await this.#reach(async (settings) => availabilityOf(await this.#current(settings, (all) => all.replicas.length > 0), ids));
  }

  async ready(model: string | null): Promise<Outcome<null>> {
    return await this.#reach(async (settings) => {
      const isReady = ({ replicas }: PoolSnapshot) =>
        replicas.some(
          ({ kind, models, draining, weight, load }) =>
            kind !== "engine" && !draining && weight > 0 && load.loaded && models.some(({ id }) => model === null || id === model),
        );
      if (isReady(await this.#current(settings, isReady))) return null;
      return await fromEngine(this.env.ENGINE.ready());
    });
  }

  async run(request: GenerateRequest, wishes: PlacementWishes, caller?: Caller): Promise<Outcome<PlacedStream>> {
    return await this.#reach(async (settings) => {
      await this.#current(settings, ({ replicas }) => replicas.some(({ models }) => models.some((one) => isVersion(one, request.model))));
      const dispatch = new Dispatch(
        {
          ...{ environment: this.env, settings, health, budget, queue: queueOf(settings.queue), caller },
          snapshot: () => {
            copy.renew(this.#sources(), this.#options(settings));
            return copy.snapshot;
          },
          engineFailure: () => copy.engineFailure,
        },
        request,
        wishes,
      );
      const outcome = await dispatch.run();
      if (outcome.ok) return outcome.value;
      throw new ServiceError(outcome.failure);
    });
  }

  async tell(message: NodeMessage): Promise<Outcome<NodeReply>> {
    return await this.#reach(() => tellRegistry(this.env, message));
  }

  async #everything(settings: PoolSettings): Promise<PoolSnapshot> {
    const all = await this.#current(settings, ({ replicas }) => replicas.some(({ kind }) => kind === "engine"));
    const { engineFailure } = copy;
    if (all.replicas.length === 0 && engineFailure !== undefined) throw new ServiceError(engineFailure);
    return all;
  }

  async #current(settings: PoolSettings, suffices: (snapshot: PoolSnapshot) => boolean): Promise<PoolSnapshot> {
    return await copy.current(this.#sources(), { ...this.#options(settings), suffices });
  }

  #options({ refresh }: PoolSettings) {
    return {
      refresh,
      waitUntil: (work: Promise<unknown>) => {
        this.ctx.waitUntil(work);
      },
    };
  }

  #sources(): Sources {
    return {
      registry: () => snapshotOf(this.env),
      engine: this.env.ENGINE,
      listed: (now) => staticReplicas(this.env, now).map(({ replica }) => replica),
    };
  }

  async #reach<T>(call: (settings: PoolSettings) => Promise<T>): Promise<Outcome<T>> {
    try {
      return { ok: true, value: await call(poolSettings(this.env)) };
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
