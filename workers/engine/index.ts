/** The engine Worker: no public routes, only the RPC surface that the gateway and the session Worker are bound to. */
import { WorkerEntrypoint } from "cloudflare:workers";
import { internalFailure, isMistake } from "../contracts/call.ts";
import type { Outcome } from "../contracts/outcome.ts";
import type { EngineLoad, GenerateRequest, GenerationBackend, ModelDescription } from "../contracts/engine.ts";
import { ServiceError } from "../contracts/errors.ts";
import { describeCause, logLine } from "../observe/log-line.ts";
import { engineUnavailable } from "./failures.ts";
import { byLoad, candidates } from "./pick.ts";
import type { EngineEnvironment } from "./settings.ts";
import { engineSettings, type EngineSettings } from "./variables.ts";

export { EngineObject } from "./engine-object.ts";

export class EngineService extends WorkerEntrypoint<EngineEnvironment> implements GenerationBackend {
  async models(): Promise<Outcome<readonly ModelDescription[]>> {
    return await this.#checked(() => this.#reach(0, (object) => object.models()));
  }

  async ready(): Promise<Outcome<null>> {
    return await this.#checked(() => this.#reach(0, (object) => object.ready()));
  }

  /** Summed over all objects. */
  async load(): Promise<EngineLoad> {
    const loads = await Promise.all(Array.from({ length: engineSettings(this.env).objects }, (_, index) => this.#object(index).load()));
    return {
      loaded: loads.some(({ loaded }) => loaded),
      running: total(loads, "running"),
      waiting: total(loads, "waiting"),
      freeStateBytes: total(loads, "freeStateBytes"),
      generatedTokens: total(loads, "generatedTokens"),
    };
  }

  async generate(request: GenerateRequest): Promise<Outcome<ReadableStream<Uint8Array>>> {
    return await this.#checked(async ({ objects }) => {
      let outcome: Outcome<ReadableStream<Uint8Array>> = { ok: false, failure: engineUnavailable("no engine object could be reached") };
      for (const index of await this.#preferred(objects)) {
        outcome = await this.#reach(index, (object) => object.generate(request));
        if (outcome.ok || outcome.failure.code !== "overloaded") return outcome;
      }
      return outcome;
    });
  }

  /** Engine objects to try, best first. */
  async #preferred(objects: number): Promise<number[]> {
    const indices = candidates(objects, Math.random);
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

  /** With wrong variables, every call is answered with what is wrong with them. */
  async #checked<T>(call: (settings: EngineSettings) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    let settings: EngineSettings;
    try {
      settings = engineSettings(this.env);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      logLine("error", "configuration_invalid", { cause: error.message });
      return { ok: false, failure: error.failure };
    }
    return await call(settings);
  }

  async #reach<T>(index: number, call: (object: GenerationBackend) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    try {
      return await call(this.#object(index));
    } catch (error) {
      logLine("error", "engine_object_unreachable", { object: index, cause: describeCause(error) });
      return { ok: false, failure: isMistake(error) ? internalFailure : engineUnavailable("the engine object could not be reached") };
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
