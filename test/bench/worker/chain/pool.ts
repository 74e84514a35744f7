/** Asks one of the upstreams, and hands its stream on unread. */
import { WorkerEntrypoint } from "cloudflare:workers";

export class ChainPool extends WorkerEntrypoint {
  async run(body: string, upstreams: string): Promise<ReadableStream<Uint8Array>> {
    const all = upstreams.split(",");
    const upstream = all[Math.floor(Math.random() * all.length)] ?? "";
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${upstream}/v1/chat/completions`, { method: "POST", headers, body });
    if (response.body === null) throw new Error("the upstream's answer has no body");
    return response.body;
  }
}

export default {
  fetch(): Response {
    return new Response("Not found\n", { status: 404 });
  },
} satisfies ExportedHandler;
