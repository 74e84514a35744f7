import { DurableObject } from "cloudflare:workers";
import type { SessionEnvironment } from "../environment.ts";

export class ShareObject extends DurableObject<SessionEnvironment> {}
