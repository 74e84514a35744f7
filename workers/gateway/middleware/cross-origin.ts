/** CORS: browsers of other origins are served only where `CORS_ORIGINS` names them. Preflights carry no key and need none. */
import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import type { GatewayTypes } from "../environment.ts";

const preflightMaxAgeSeconds = 600;

export const crossOrigin = createMiddleware<GatewayTypes>(async (c, next) => {
  const origins = [...c.var.settings.corsOrigins];
  const origin = c.req.header("origin");
  if (origin === undefined || !origins.includes(origin)) return next();
  const respond = cors({
    origin: origins,
    allowMethods: ["GET", "POST", "PUT", "PATCH", "DELETE"],
    // Whatever is asked for: SDKs send headers of their own (`x-stainless-…`), and no header gives a named origin more than its key does.
    allowHeaders: [],
    exposeHeaders: [
      "x-request-id",
      "request-id",
      "retry-after",
      "x-should-retry",
      "x-spikingbrain-backend",
      "x-spikingbrain-cache",
      "x-spikingbrain-model",
      "x-spikingbrain-session",
      "x-spikingbrain-stream",
    ],
    maxAge: preflightMaxAgeSeconds,
  });
  const answer = await respond(c, next);
  c.header("cross-origin-resource-policy", "cross-origin");
  return answer;
});
