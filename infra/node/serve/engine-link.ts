/**
 * The engine Worker of `spikingbrain serve`: the same RPC surface, answered by the engine in the Node process beside the Workers. It takes the
 * place of `workers/engine`, and whoever calls it need not know.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import type { EngineLoad, GenerateRequest, GenerationBackend, ModelDescription } from "../../../workers/contracts/engine.ts";
import { unreachable } from "../../../workers/contracts/call.ts";
import { openState } from "../../../workers/contracts/request/open-state.ts";
import { continued, encodeFront, paths, secretHeader, streamType } from "./wire.ts";

export interface LinkEnvironment {
  /** `http://127.0.0.1:PORT` of the Node process. */
  readonly ENGINE_ADDRESS: string;
  readonly ENGINE_SECRET: string;
}

export class EngineService extends WorkerEntrypoint<LinkEnvironment> implements GenerationBackend {
  async models(): Promise<Outcome<readonly ModelDescription[]>> {
    return await this.#outcome(paths.models);
  }

  async ready(): Promise<Outcome<null>> {
    return await this.#outcome(paths.ready);
  }

  async load(): Promise<EngineLoad> {
    const outcome = await this.#outcome<EngineLoad>(paths.load);
    return outcome.ok ? outcome.value : { loaded: false, running: 0, waiting: 0, freeStateBytes: 0, generatedTokens: 0 };
  }

  async generate(request: GenerateRequest): Promise<Outcome<ReadableStream<Uint8Array>>> {
    const front = encodeFront(request);
    if (request.resume === undefined) return await this.#answer(front);
    const opened = await openState(request.resume);
    if (!opened.ok) return opened;
    const reader = opened.value.getReader();
    const outcome = await this.#answer(continued(front, reader));
    if (!outcome.ok) await reader.cancel(outcome.failure.message).catch(() => undefined);
    return outcome;
  }

  async #answer(body: BodyInit): Promise<Outcome<ReadableStream<Uint8Array>>> {
    const response = await this.#post(paths.generate, body);
    if (response === undefined) return { ok: false, failure: unreachable("engine") };
    if (response.headers.get("content-type") === streamType && response.body !== null)
      return { ok: true, value: response.body as ReadableStream<Uint8Array> };
    return await response.json();
  }

  async #outcome<T>(path: string): Promise<Outcome<T>> {
    const response = await this.#post(path);
    return response === undefined ? { ok: false, failure: unreachable("engine") } : await response.json();
  }

  /** Undefined where the process is not there, or has not this start's secret. */
  async #post(path: string, body: BodyInit | null = null): Promise<Response | undefined> {
    const headers = { [secretHeader]: this.env.ENGINE_SECRET };
    const response = await fetch(`${this.env.ENGINE_ADDRESS}${path}`, { method: "POST", headers, body }).catch(() => undefined);
    if (response === undefined || response.ok) return response;
    await response.body?.cancel();
    return undefined;
  }
}

export default {
  fetch(): Response {
    return new Response("Not found\n", { status: 404 });
  },
} satisfies ExportedHandler;
