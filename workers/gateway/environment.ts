/** What the gateway is given from outside: bindings and variables of `wrangler.toml`, and what middleware leaves for later steps. */
import type { Context } from "hono";
import type { GrammarService } from "../contracts/constraint.ts";
import type { PoolBackend } from "../contracts/pool.ts";
import type { TenantId } from "../contracts/tenant.ts";
import type { SessionBackend } from "../contracts/session.ts";
import type { GatewaySettings } from "./settings.ts";

export interface Environment {
  /** Static assets: the web page, and `/models.json` with each model's card and tokenizer in the folder that it names. */
  readonly ASSETS: { fetch(url: string): Promise<Response> };
  /** The pool Worker's `PoolService` entrypoint, called by RPC: it knows which models have backends. */
  readonly POOL: PoolBackend;
  /** The grammar Worker's `GrammarEntrypoint` entrypoint: says whether an answer can be held to a constraint. */
  readonly GRAMMAR: GrammarService;
  /** The session Worker's `SessionService` entrypoint: runs generations and keeps what conversations remember. */
  readonly SESSION: SessionBackend;
  /** Comma-separated keys; empty or absent leaves the API open, which is what the web page needs: its requests carry no key. */
  readonly API_KEYS?: string;
  /** Comma-separated keys, of those that may call, whose answers also say why they run where they run; none unless set. */
  readonly ADMIN_KEYS?: string;
  /** Comma-separated origins that browsers may call `/v1` from; empty or absent allows the web page's own origin only. */
  readonly CORS_ORIGINS?: string;
  /** Comma-separated `NAME:MODEL`: names under which models answer too, such as `gpt-4o-mini:spikingbrain-135m`. */
  readonly MODEL_ALIASES?: string;
  /** Comma-separated `MODEL:OTHER`: models that answer where another can't, for requests without a `fallback`; none unless set. */
  readonly MODEL_FALLBACKS?: string;
  /** Seconds of silence after which a stream is kept alive; 15 unless set. */
  readonly KEEP_ALIVE_SECONDS?: string;
}

export interface RequestVariables {
  readonly requestId: string;
  readonly settings: GatewaySettings;
  /** Facts for the request's log line; never prompt text, never a key. */
  readonly facts: Record<string, string | number | boolean>;
  /** Null without a key. */
  readonly tenant: TenantId | null;
  /** Whether the key is one of `ADMIN_KEYS`. */
  readonly isAdmin: boolean;
}

export interface GatewayTypes {
  Bindings: Environment;
  Variables: RequestVariables;
}

export type GatewayContext = Context<GatewayTypes>;
