/** What the pool Worker is given from outside. */
import type { GenerationBackend } from "../contracts/engine.ts";
import type { RegistryEnvironment } from "./registry/tell.ts";

export interface PoolEnvironment extends RegistryEnvironment {
  /** The engine Worker's `EngineService` entrypoint: the backend that is always there. */
  readonly ENGINE: GenerationBackend;
  /** A private network that replicas are reached through (Workers VPC); the public one where it is not bound. */
  readonly POOL_NETWORK?: { fetch(request: Request): Promise<Response> };
  /** Replicas that do not register themselves (`registry/static-list.ts`). */
  readonly POOL_STATIC?: string;
  /** Seconds after which an isolate's copy of the registry is renewed beside a request; 1 unless set. */
  readonly POOL_REFRESH_SECONDS?: string;
  /** Longest wait for a replica to take a request; 10 seconds unless set. */
  readonly POOL_CONNECT_SECONDS?: string;
  /** Longest wait for a replica's first token, which waits for its prompt to be read; 120 seconds unless set. */
  readonly POOL_FIRST_TOKEN_SECONDS?: string;
  /** Longest wait for each later one; 10 seconds unless set. */
  readonly POOL_GAP_SECONDS?: string;
  /** Longest time of one attempt at a replica; 3,600 seconds unless set. */
  readonly POOL_TOTAL_SECONDS?: string;
  /** Wait for the first token after which a second replica is asked too, for requests that ask for it; 1 second unless set. */
  readonly POOL_HEDGE_SECONDS?: string;
  /** Longest wait for room where all backends of a model are full; 10 seconds unless set. */
  readonly POOL_QUEUE_SECONDS?: string;
}
