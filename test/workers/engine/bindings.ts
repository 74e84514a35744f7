import { env } from "cloudflare:workers";
import type { EngineEnvironment } from "../../../workers/engine/settings.ts";

/** The engine Worker's own bindings, as its wrangler.toml makes them. */
export const bindings = env as unknown as EngineEnvironment;
