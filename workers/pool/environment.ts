/** What the pool Worker is given from outside. */
import type { GenerationBackend } from "../contracts/engine.ts";

export interface PoolEnvironment {
  /** The engine Worker's `EngineService` entrypoint: the backend that is always there. */
  readonly ENGINE: GenerationBackend;
}
