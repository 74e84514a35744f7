/** The engine Worker: no public routes, only the RPC surface that the gateway is bound to. */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { EngineLoad, GenerateRequest, GenerationBackend, ModelDescription, Outcome } from "../contracts/engine.ts";
import { engineUnavailable } from "./failures.ts";
import { byLoad, candidates } from "./pick.ts";
import { engineObjects, type EngineEnvironment } from "./settings.ts";

export { EngineObject } from "./engine-object.ts";

export class EngineService extends WorkerEntrypoint<EngineEnvironment> implements GenerationBackend {
  async models(): Promise<Outcome<readonly ModelDescription[]>> {
    return await this.#reach(0, (object) => object.models());
  }

  async ready(): Promise<Outcome<null>> {
    return await this.#reach(0, (object) => object.ready());
  }

  /** Summed over all objects. */
  async load(): Promise<EngineLoad> {
    const loads = await Promise.all(Array.from({ length: engineObjects(this.env) }, (_, index) => this.#object(index).load()));
    return {
      loaded: loads.some(({ loaded }) => loaded),
      running: total(loads, "running"),
      waiting: total(loads, "waiting"),
      freeStateBytes: total(loads, "freeStateBytes"),
      generatedTokens: total(loads, "generatedTokens"),
    };
  }

  async generate(request: GenerateRequest): Promise<Outcome<ReadableStream<Uint8Array>>> {
    let outcome: Outcome<ReadableStream<Uint8Array>> = { ok: false, failure: engineUnavailable("no engine object could be reached") };
    for (const index of await this.#preferred()) {
      outcome = await this.#reach(index, (object) => object.generate(request));
      if (outcome.ok || outcome.failure.code !== "overloaded") return outcome;
    }
    return outcome;
  }

  /** Engine objects to try, best first. */
  async #preferred(): Promise<number[]> {
    const indices = candidates(engineObjects(this.env), Math.random);
    if (indices.length === 1) return indices;
    const loads = await Promise.all(
      indices.map((index) =>
        this.#object(index)
          .load()
          .catch(() => undefined),
      ),
    );
    return byLoad(loads).flatMap((position) => indices[position] ?? []);
  }

  async #reach<T>(index: number, call: (object: GenerationBackend) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    try {
      return await call(this.#object(index));
    } catch (error) {
      console.error(`engine object ${String(index)}:`, error);
      return { ok: false, failure: engineUnavailable("the engine object could not be reached") };
    }
  }

  #object(index: number): GenerationBackend {
    return this.env.ENGINE_OBJECT.getByName(`engine-${String(index)}`);
  }
}

function total(loads: readonly EngineLoad[], field: "running" | "waiting" | "freeStateBytes" | "generatedTokens"): number {
  return loads.reduce((sum, load) => sum + load[field], 0);
}

export default {
  fetch(): Response {
    return new Response("Not found\n", { status: 404 });
  },
} satisfies ExportedHandler;
