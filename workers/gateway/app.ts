/** Middleware in the order it runs, and routes. */
import { Hono } from "hono";
import type { ServiceFailure } from "../contracts/errors.ts";
import type { GatewayContext, GatewayTypes } from "./environment.ts";
import { errorResponse } from "./error-body.ts";
import { asServiceError, methodNotAllowed, routeNotFound } from "./failures.ts";
import { describeCause, logLine } from "../observe/log-line.ts";
import { isMessagesPath, messagesErrorBody } from "./messages/error.ts";
import { anthropicHeaders } from "./middleware/anthropic.ts";
import { apiKey } from "./middleware/api-key.ts";
import { crossOrigin } from "./middleware/cross-origin.ts";
import { noBody, noQuery } from "./middleware/nothing-more.ts";
import { requestLog } from "./middleware/request-log.ts";
import { noUpgrade } from "./middleware/no-upgrade.ts";
import { settings } from "./middleware/settings.ts";
import { tenant } from "./middleware/tenant.ts";
import { responseHeaders } from "./middleware/response-headers.ts";
import { openApiDocument } from "./openapi/document.ts";
import { referenceHtml, referenceHeaders } from "./openapi/reference.ts";
import { apiRoutes, poolReplicasPath } from "./routes.ts";

const probePaths: readonly string[] = ["/health", "/ready"];

/** A share's link is its permission, and a node's signature its. */
function needsNoKey({ method, path }: { readonly method: string; readonly path: string }): boolean {
  return (["GET", "HEAD"].includes(method) && path.startsWith("/v1/shares/")) || (method === "POST" && path === poolReplicasPath);
}

/** In the shape that the clients of a path read. */
function refusal(c: GatewayContext, failure: ServiceFailure, headers: Record<string, string> = {}): Response {
  if (!isMessagesPath(c.req.path)) return errorResponse(failure, headers);
  return errorResponse(failure, { ...headers, "request-id": c.var.requestId }, (told) => messagesErrorBody(told, c.var.requestId));
}

export function createApp(): Hono<GatewayTypes> {
  const app = new Hono<GatewayTypes>();
  app.use(requestLog, responseHeaders, settings, crossOrigin, noUpgrade);
  app.use("/v1/*", (c, next) => (needsNoKey(c.req) ? next() : apiKey(c, next)), tenant);
  app.use("/v1/messages/*", anthropicHeaders);
  app.use("/tokenize", apiKey);
  app.use("/detokenize", apiKey);

  // The document is made when it is first asked for: requests need nothing of it.
  let made: object | undefined;
  const document = () => (made ??= openApiDocument(apiRoutes));
  app.get("/openapi.json", (c) => c.json(document()));
  app.get("/reference", (c) => c.body(referenceHtml(document()), 200, referenceHeaders));
  for (const { method, path, handler, operation } of apiRoutes) {
    const { query, body, media } = operation;
    // Probes of hosts ask with whatever keeps caches away.
    const readsNoQuery = query === undefined && !probePaths.includes(path);
    const refusing = [...(readsNoQuery ? [noQuery] : []), ...(body === undefined && media === undefined ? [noBody] : [])];
    app.on(method, [path], ...refusing, handler);
  }
  for (const [path, routes] of Map.groupBy(apiRoutes, ({ path }) => path)) {
    const allow = routes.map(({ method }) => (method === "GET" ? "GET, HEAD" : method)).join(", ");
    app.all(path, (c) => refusal(c, methodNotAllowed(c.req.method, allow).failure, { allow }));
  }
  app.notFound((c) => refusal(c, routeNotFound(c.req.method).failure));
  app.onError((error, c) => {
    const { failure } = asServiceError(error);
    c.var.facts["failure"] = failure.code;
    if (failure.code === "internal_error" || failure.code === "configuration_invalid")
      logLine("error", "request_failed", { requestId: c.var.requestId, cause: describeCause(error) });
    return refusal(c, failure);
  });
  return app;
}
