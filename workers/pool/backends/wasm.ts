/** The WASM engine's Worker, which speaks the contract itself: its stream is handed on as it is. */
import type { Outcome } from "../../contracts/outcome.ts";
import type { GenerationBackend } from "../../contracts/engine.ts";
import { unwrap } from "../../contracts/call.ts";
import { ServiceError } from "../../contracts/errors.ts";
import type { BackendCall, ReplicaBackend } from "./contract.ts";
import { notReached } from "./failures.ts";

export class WasmBackend implements ReplicaBackend {
  readonly #engine: Pick<GenerationBackend, "generate">;
  readonly #onBroken: (cause: unknown) => void;

  /** `onBroken` hears why a call broke, which no client is told. */
  constructor(engine: Pick<GenerationBackend, "generate">, onBroken: (cause: unknown) => void) {
    this.#engine = engine;
    this.#onBroken = onBroken;
  }

  async generate({ request, signal }: BackendCall): Promise<Outcome<ReadableStream<Uint8Array>>> {
    try {
      const stream = await unwrap("engine", this.#engine.generate(request), this.#onBroken);
      if (!signal.aborted) return { ok: true, value: stream };
      await stream.cancel().catch(() => undefined);
      return { ok: false, failure: notReached() };
    } catch (cause) {
      if (cause instanceof ServiceError) return { ok: false, failure: cause.failure };
      throw cause;
    }
  }
}
