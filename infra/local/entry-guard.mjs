/**
 * What stands in front of the entry of a local workerd: without it, the development server answers on `/cdn-cgi/…` (buckets, handlers of events,
 * tenants' rows) and follows headers of its own, for whoever can send it a request. `wrangler-shut.ts` puts this text into the development
 * server's own entry module, so it may import nothing.
 * @typedef {{ fetch(request: Request, env: Record<string, unknown>, context: unknown): Promise<Response> }} Entry
 * @typedef {{ anyHost: boolean, startId: string }} GuardOptions `anyHost`: whether a request may name any host; `startId` marks answers of `/ready`.
 */

/** @param {Entry} entry @param {GuardOptions} options @returns {Entry} */
export function guarded(entry, { anyHost, startId }) {
  const loopback = ["127.0.0.1", "localhost", "[::1]"];
  /** How wrangler tells its proxy that the Workers are there; the proxy itself asks for a secret. */
  const control = "/cdn-cgi/ProxyWorker/";
  const prefix = "mf-";

  /** @param {number} status @param {string} code @param {string} message */
  const refuse = (status, code, message) =>
    Response.json({ error: { message, type: "invalid_request_error", param: null, code } }, { status });
  /** @param {Request} request */
  const noRoute = (request) => refuse(404, "not_found", `No such route for ${request.method}. The API lives under /v1.`);
  /** @param {string} url */
  const isOfDevelopment = (url) => /^\/+(cdn-cgi|__cf_local)(\/|$)/.test(new URL(url).pathname);
  /** @param {string} given @param {ArrayBuffer} expected */
  const isSecret = (given, expected) => {
    const bytes = new TextEncoder().encode(given);
    return bytes.byteLength === expected.byteLength && crypto.subtle.timingSafeEqual(bytes, expected);
  };

  /**
   * The body as it comes, of the length that it is to have where that is known, and the answer to who breaks it off, which comes when it does.
   * Between Workers a body without a length ends where it breaks off, as if it were whole; so nothing behind this can tell.
   * @param {Request} request @returns {{ body: ReadableStream | null, broken: Promise<Response> }}
   */
  const watched = (request) => {
    /** @type {PromiseWithResolvers<Response>} */
    const { promise: broken, resolve } = Promise.withResolvers();
    if (request.body === null) return { body: null, broken };
    const reader = request.body.getReader();
    let bytes = 0;
    const read = new ReadableStream({
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          bytes += value.byteLength;
          controller.enqueue(value);
        } catch (cause) {
          resolve(refuse(400, "invalid_request", `The request body broke off after ${bytes} bytes.`));
          controller.error(cause);
        }
      },
      cancel: (reason) => reader.cancel(reason),
    });
    const length = request.headers.get("content-length");
    if (length === null) return { body: read, broken };
    const { readable, writable } = new FixedLengthStream(Number(length));
    // Whoever reads the other end is told; nobody reads a body whose request is refused.
    read.pipeTo(writable).catch(() => undefined);
    return { body: readable, broken };
  };

  return {
    async fetch(request, env, context) {
      // Two Host headers, or `OPTIONS *`: nothing behind this can read such a request.
      if (!URL.canParse(request.url))
        return refuse(400, "invalid_request", "The request's target and its Host header must make one URL; they do not.");
      const secret = env.MINIFLARE_PROXY_SHARED_SECRET;
      if (secret instanceof ArrayBuffer) {
        // The Workers' own port: only wrangler's proxy knows the secret, and it has been through what follows.
        if (!isSecret(request.headers.get("mf-proxy-shared-secret") ?? "", secret)) return noRoute(request);
        return await entry.fetch(request, env, context);
      }
      if (new URL(request.url).pathname.startsWith(control)) return await entry.fetch(request, env, context);
      if (isOfDevelopment(request.url)) return noRoute(request);
      const { hostname, pathname } = new URL(request.url);
      if (!anyHost && !loopback.includes(hostname))
        return refuse(
          403,
          "host_not_allowed",
          `Host: it must be 127.0.0.1, localhost or [::1] while any key is accepted (API_KEYS is not set); it is "${hostname}".`,
        );
      const headers = new Headers(request.headers);
      for (const name of [...headers.keys()]) if (name.startsWith(prefix)) headers.delete(name);
      const { body, broken } = watched(request);
      // An answer that comes first ends the request behind it.
      const response = await Promise.race([broken, entry.fetch(new Request(request, { headers, body }), env, context)]);
      if (pathname !== "/ready") return response;
      const marked = new Response(response.body, response);
      marked.headers.set("x-spikingbrain-start", startId);
      return marked;
    },
  };
}
