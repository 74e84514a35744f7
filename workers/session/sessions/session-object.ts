import { DurableObject } from "cloudflare:workers";
import type { SessionEnvironment } from "../environment.ts";

export class SessionObject extends DurableObject<SessionEnvironment> {}
