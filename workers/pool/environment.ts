/** What the pool Worker is given from outside. */
import type { GenerationBackend } from "../contracts/engine.ts";

import type { RegistryEnvironment } from "./registry/tell.ts";

export interface PoolEnvironment extends RegistryEnvironment {
  /** The engine Worker's `EngineService` entrypoint: the backend that is always there. */
  readonly ENGINE: GenerationBackend;
}
