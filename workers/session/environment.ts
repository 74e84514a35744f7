/** What the session Worker is given from outside. */
import type { PoolBackend } from "../contracts/pool.ts";
import type { DirectoryObject } from "./sessions/directory-object.ts";
import type { SessionObject } from "./sessions/session-object.ts";
import type { ShareObject } from "./sessions/share-object.ts";
import type { TenantObject } from "./snapshots/tenant-object.ts";
import type { StreamObject } from "./answers/stream-object.ts";

export interface SessionEnvironment {
  /** The pool Worker's `PoolService` entrypoint: whatever is generated is asked of it. */
  readonly POOL: PoolBackend;
  /** Static assets that the gateway serves too: `/models.json` with each model's card and tokenizer in the folder that it names. */
  readonly ASSETS: { fetch(url: string): Promise<Response> };
  readonly STREAM_OBJECT: DurableObjectNamespace<StreamObject>;
  readonly SESSION_OBJECT: DurableObjectNamespace<SessionObject>;
  readonly TENANT_OBJECT: DurableObjectNamespace<TenantObject>;
  readonly DIRECTORY_OBJECT: DurableObjectNamespace<DirectoryObject>;
  readonly SHARE_OBJECT: DurableObjectNamespace<ShareObject>;
  /** Durable snapshots. */
  readonly SNAPSHOTS: R2Bucket;
  /** Prefixes that many requests share. */
  readonly PREFIXES: KVNamespace;
  /**
   * Secrets that snapshots are sealed under and ids are signed with, newest first: `2:BASE64,1:BASE64`, each 32 bytes. The first seals and signs
   * what is new; what is older still opens and holds. Without any, no state is kept, and ids are signed with a public key.
   */
  readonly STATE_KEYS?: string;
  /** How states hold their recurrent part: `f32`, exactly, unless set; `bf16` makes them smaller, and answers may differ from those without a state. */
  readonly STATE_RECURRENT?: string;
  /** Seconds that a stateless answer goes on after its client has gone; 10 unless set. */
  readonly STREAM_GRACE_SECONDS?: string;
  /** Seconds that a stream can be read again after its end; 600 unless set. */
  readonly STREAM_KEEP_SECONDS?: string;
  /** Most bytes of all that a tenant keeps: snapshots in all tiers, sessions, contexts, shares and streams; 1 GiB unless set. */
  readonly TENANT_QUOTA_BYTES?: string;
  /** Seconds that a state which is kept stays in its tenant's object after its last use, before it goes to R2; 3,600 unless set. */
  readonly STATE_HOT_SECONDS?: string;
  /** Seconds that a state which nobody keeps can be found after its last use; 86,400 unless set. */
  readonly STATE_CACHE_SECONDS?: string;
}
