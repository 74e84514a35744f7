import { DurableObject } from "cloudflare:workers";
import type { SessionEnvironment } from "../environment.ts";

export class StreamObject extends DurableObject<SessionEnvironment> {}
