import { DurableObject } from "cloudflare:workers";
import type { SessionEnvironment } from "../environment.ts";

export class TenantObject extends DurableObject<SessionEnvironment> {}
