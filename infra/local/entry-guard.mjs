/**
 * What stands in front of the entry of a local workerd: without it, the development server answers on `/cdn-cgi/…` (buckets, handlers of events,
 * tenants' rows) and follows headers of its own, for whoever can send it a request. `wrangler-shut.ts` puts this text into the development
 * server's own entry module, so it may import nothing.
 * @typedef {{ fetch(request: Request, env: Record<string, unknown>, context: unknown): Promise<Response> }} Entry
 * @typedef {{ anyHost: boolean, startId: string, first?: { worker: string, paths: string[] } | null }} GuardOptions `anyHost`: whether a request may name
 * any host; `startId` marks answers of `/ready`; `first`: a Worker, and the paths whose requests go to it past the Workers of its assets.
 */

/** @param {Entry} entry @param {GuardOptions} options @returns {Entry} */
export function guarded(entry, { anyHost, startId, first = null }) {
  const loopback = ["127.0.0.1", "localhost", "[::1]"];
  /** How wrangler tells its proxy that the Workers are there; the proxy itself asks for a secret. */
  const control = "/cdn-cgi/ProxyWorker/";
  const prefix = "mf-";

  /** Of a refused body so much is read, and no longer than until nothing has come for so long. */
  const restBytes = 64 << 20;
  const silenceMilliseconds = 1_000;

  /** @param {() => Promise<ReadableStreamReadResult<Uint8Array>>} next */
  const discard = async (next) => {
    for (let bytes = 0; bytes < restBytes;) {
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;
      const silence = new Promise((resolve) => (timer = setTimeout(resolve, silenceMilliseconds, { done: true })));
      const { done, value } = await Promise.race([next(), silence]).finally(() => clearTimeout(timer));
      if (done) return;
      bytes += value.byteLength;
    }
  };

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
   * `rest` reads what whoever refused the body has left of it: a connection that ends before its request does loses the refusal.
   * @param {Request} request @returns {{ body: ReadableStream | null, broken: Promise<Response>, rest: () => Promise<void> }}
   */
  const watched = (request) => {
    /** @type {PromiseWithResolvers<Response>} */
    const { promise: broken, resolve } = Promise.withResolvers();
    if (request.body === null) return { body: null, broken, rest: () => Promise.resolve() };
    const reader = request.body.getReader();
    /** @type {Promise<unknown>} */
    let reading = Promise.resolve();
    // One after another, as the body demands.
    const next = () => {
      const read = reading.then(() => reader.read());
      reading = read.catch(() => undefined);
      return read;
    };
    let bytes = 0;
    let isEnded = false;
    const read = new ReadableStream({
      async pull(controller) {
        try {
          const { done, value } = await next();
          isEnded = done;
          if (done) return controller.close();
          bytes += value.byteLength;
          controller.enqueue(value);
        } catch (cause) {
          isEnded = true;
          resolve(refuse(400, "invalid_request", `The request body broke off after ${bytes} bytes.`));
          controller.error(cause);
        }
      },
      // What is left is read by `rest`.
      cancel: () => undefined,
    });
    const rest = async () => {
      if (!isEnded) await discard(next);
      await reader.cancel();
    };
    const length = request.headers.get("content-length");
    if (length === null) return { body: read, broken, rest };
    const { readable, writable } = new FixedLengthStream(Number(length));
    // Whoever reads the other end is told; nobody reads a body whose request is refused.
    read.pipeTo(writable).catch(() => undefined);
    return { body: readable, broken, rest };
  };

  /** @param {string} pathname @param {string} path */
  const isOf = (pathname, path) => (path.endsWith("/*") ? pathname.startsWith(path.slice(0, -1)) : pathname === path);
  /** @param {Request} request @param {Record<string, unknown>} env */
  const goesFirst = ({ url }, env) => {
    if (first === null || env[`MINIFLARE_USER_ROUTE_${first.worker}`] === undefined) return false;
    const { pathname } = new URL(url);
    return first.paths.some((path) => isOf(pathname, path));
  };

  /** @param {Request} request @param {Record<string, unknown>} env @param {unknown} context */
  const passOn = async (request, env, context) => {
    const { body, broken, rest } = watched(request);
    const passed = new Request(request, { body });
    if (first !== null && goesFirst(request, env)) passed.headers.set("mf-route-override", first.worker);
    // An answer that comes first ends the request behind it.
    const response = await Promise.race([broken, entry.fetch(passed, env, context)]);
    await rest().catch(() => undefined);
    return response;
  };

  /** @param {Request} request @param {Response} refusal */
  const refused = async (request, refusal) => {
    await watched(request)
      .rest()
      .catch(() => undefined);
    return refusal;
  };

  return {
    async fetch(request, env, context) {
      // Two Host headers, or `OPTIONS *`: nothing behind this can read such a request.
      if (!URL.canParse(request.url))
        return refuse(400, "invalid_request", "The request's target and its Host header must make one URL; they do not.");
      const secret = env.MINIFLARE_PROXY_SHARED_SECRET;
      if (secret instanceof ArrayBuffer) {
        // The Workers' own port: only wrangler's proxy knows the secret, and it has been through what follows.
        if (!isSecret(request.headers.get("mf-proxy-shared-secret") ?? "", secret)) return await refused(request, noRoute(request));
        return await passOn(request, env, context);
      }
      if (new URL(request.url).pathname.startsWith(control)) return await entry.fetch(request, env, context);
      if (isOfDevelopment(request.url)) return await refused(request, noRoute(request));
      // No GET can be handed on with a body; one of no bytes is none.
      const isWithoutBody = request.method === "GET" || request.method === "HEAD";
      if (isWithoutBody && request.body !== null && request.headers.get("content-length") !== "0")
        return await refused(request, refuse(400, "invalid_request", `A ${request.method} request must have no body.`));
      const { hostname, pathname } = new URL(request.url);
      if (!anyHost && !loopback.includes(hostname))
        return await refused(
          request,
          refuse(
            403,
            "host_not_allowed",
            `Host: it must be 127.0.0.1, localhost or [::1] while any key is accepted (API_KEYS is not set); it is "${hostname}".`,
          ),
        );
      const headers = new Headers(request.headers);
      for (const name of [...headers.keys()]) if (name.startsWith(prefix)) headers.delete(name);
      const response = await passOn(new Request(request, { headers, ...(isWithoutBody ? { body: null } : {}) }), env, context);
      if (pathname !== "/ready") return response;
      const marked = new Response(response.body, response);
      marked.headers.set("x-spikingbrain-start", startId);
      return marked;
    },
  };
}
