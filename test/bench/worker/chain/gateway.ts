/**
 * The edge's chain of Workers with nothing of what they do: from the gateway to the session service, from there to an object, and from that to the
 * pool, which alone asks upstreams. What it costs is the runtime's for that many isolations.
 */
import type { ChainSession } from "./session.ts";

interface GatewayEnvironment {
  readonly SESSION: Service<ChainSession>;
  /** Of the first Worker alone, as variables of the command line are. */
  readonly UPSTREAMS: string;
  /** "true" where the object reads the stream and keeps it. */
  readonly READS: string;
}

export default {
  async fetch(request: Request, environment: GatewayEnvironment): Promise<Response> {
    if (request.method !== "POST") return new Response("ready", { headers: { "x-spikingbrain-start": "" } });
    const stream = await environment.SESSION.start(await request.text(), environment.UPSTREAMS, environment.READS === "true");
    return new Response(stream, { headers: { "content-type": "text/event-stream" } });
  },
} satisfies ExportedHandler<GatewayEnvironment>;
