/** Middleware in the order it runs, and every route. */
import { Hono, type Handler } from "hono";
import type { GatewayTypes } from "./environment.ts";
import { errorResponse } from "./error-body.ts";
import { asServiceError, methodNotAllowed, routeNotFound } from "./failures.ts";
import { chatCompletions } from "./http/chat-completions.ts";
import { completions } from "./http/completions.ts";
import { health, ready } from "./http/health.ts";
import { listModels, oneModel } from "./http/models.ts";
import { resumeStream, stopStream } from "./http/streams.ts";
import { detokenize, tokenize } from "./http/tokenize.ts";
import { describeCause, logLine } from "../logging/log-line.ts";
import { apiKey } from "./middleware/api-key.ts";
import { crossOrigin } from "./middleware/cross-origin.ts";
import { requestLog } from "./middleware/request-log.ts";
import { tenant } from "./middleware/tenant.ts";
import { responseHeaders } from "./middleware/response-headers.ts";

interface Route {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly handler: Handler<GatewayTypes>;
}

const ROUTES: readonly Route[] = [
  { method: "POST", path: "/v1/chat/completions", handler: chatCompletions },
  { method: "POST", path: "/v1/completions", handler: completions },
  { method: "GET", path: "/v1/streams/:id", handler: resumeStream },
  { method: "DELETE", path: "/v1/streams/:id", handler: stopStream },
  { method: "GET", path: "/v1/models", handler: listModels },
  // The rest of the path is the id: public model ids may hold slashes.
  { method: "GET", path: "/v1/models/:id{.+}", handler: oneModel },
  { method: "POST", path: "/tokenize", handler: tokenize },
  { method: "POST", path: "/detokenize", handler: detokenize },
  { method: "GET", path: "/health", handler: health },
  { method: "GET", path: "/ready", handler: ready },
];

export function createApp(): Hono<GatewayTypes> {
  const app = new Hono<GatewayTypes>();
  app.use(requestLog, responseHeaders, crossOrigin);
  app.use("/v1/*", apiKey, tenant);
  app.use("/tokenize", apiKey);
  app.use("/detokenize", apiKey);

  for (const { method, path, handler } of ROUTES) app.on(method, path, handler);
  for (const [path, routes] of Map.groupBy(ROUTES, ({ path }) => path)) {
    const allow = routes.map(({ method }) => (method === "GET" ? "GET, HEAD" : method)).join(", ");
    app.all(path, (c) => errorResponse(methodNotAllowed(c.req.method, allow).failure, { allow }));
  }
  app.notFound((c) => errorResponse(routeNotFound(c.req.method).failure));
  app.onError((error, c) => {
    const { failure } = asServiceError(error);
    c.var.facts["failure"] = failure.code;
    if (failure.code === "internal_error") logLine("error", "request_failed", { requestId: c.var.requestId, cause: describeCause(error) });
    return errorResponse(failure);
  });
  return app;
}
