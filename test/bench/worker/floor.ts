/**
 * The least that a router on this runtime does: one call to another object, one durable write there, and the upstream's stream handed on. What it
 * costs is the runtime's own.
 */
import { DurableObject } from "cloudflare:workers";

interface FloorEnvironment {
  readonly FLOOR_OBJECT: DurableObjectNamespace<FloorObject>;
  readonly UPSTREAMS: string;
}

export class FloorObject extends DurableObject<FloorEnvironment> {
  async run(body: string): Promise<ReadableStream<Uint8Array>> {
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS answers (body TEXT NOT NULL)");
    sql.exec("INSERT INTO answers (body) VALUES (?)", body);
    await this.ctx.storage.sync();
    const upstreams = this.env.UPSTREAMS.split(",");
    const upstream = upstreams[Math.floor(Math.random() * upstreams.length)] ?? "";
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${upstream}/v1/chat/completions`, { method: "POST", headers, body });
    if (response.body === null) throw new Error("the upstream's answer has no body");
    return response.body;
  }
}

export default {
  async fetch(request: Request, environment: FloorEnvironment): Promise<Response> {
    if (request.method !== "POST") return new Response("ready", { headers: { "x-spikingbrain-start": "" } });
    const object = environment.FLOOR_OBJECT.get(environment.FLOOR_OBJECT.newUniqueId());
    return new Response(await object.run(await request.text()), { headers: { "content-type": "text/event-stream" } });
  },
} satisfies ExportedHandler<FloorEnvironment>;
