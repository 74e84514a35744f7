/**
 * The least that a router on this runtime does which keeps what it was asked: one call to an object, one durable write there, and the upstream's
 * stream handed on, unread. What it costs is the runtime's own. As the edge does, it has a few objects for all streams: to make one, with a file of
 * its own, takes nine writes.
 */
import { DurableObject } from "cloudflare:workers";

interface FloorEnvironment {
  readonly FLOOR_OBJECT: DurableObjectNamespace<FloorObject>;
  readonly UPSTREAMS: string;
}

const objects = 16;

export class FloorObject extends DurableObject<FloorEnvironment> {
  constructor(state: DurableObjectState, environment: FloorEnvironment) {
    super(state, environment);
    state.storage.sql.exec("CREATE TABLE IF NOT EXISTS answers (body TEXT NOT NULL)");
  }

  async run(body: string): Promise<ReadableStream<Uint8Array>> {
    this.ctx.storage.sql.exec("INSERT INTO answers (body) VALUES (?)", body);
    await this.ctx.storage.sync();
    const upstream = oneOf(this.env.UPSTREAMS.split(","));
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${upstream}/v1/chat/completions`, { method: "POST", headers, body });
    if (response.body === null) throw new Error("the upstream's answer has no body");
    return response.body;
  }
}

function oneOf(upstreams: readonly string[]): string {
  return upstreams[Math.floor(Math.random() * upstreams.length)] ?? "";
}

export default {
  async fetch(request: Request, environment: FloorEnvironment): Promise<Response> {
    if (request.method !== "POST") return new Response("ready", { headers: { "x-spikingbrain-start": "" } });
    const object = environment.FLOOR_OBJECT.getByName(String(Math.floor(Math.random() * objects)));
    return new Response(await object.run(await request.text()), { headers: { "content-type": "text/event-stream" } });
  },
} satisfies ExportedHandler<FloorEnvironment>;
