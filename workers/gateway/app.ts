/** Middleware in the order it runs, and every route. */
import { Hono, type Handler } from "hono";
import type { GatewayTypes } from "./environment.ts";
import { errorResponse } from "./error-body.ts";
import { asServiceError, methodNotAllowed, routeNotFound } from "./failures.ts";
import { chatCompletions } from "./http/chat-completions.ts";
import { completions } from "./http/completions.ts";
import { decisions } from "./http/decisions.ts";
import { health, ready } from "./http/health.ts";
import { listModels, oneModel } from "./http/models.ts";
import { tellPool } from "./http/pool-replicas.ts";
import { appendText, contextEvents, createContext, listContexts } from "./http/contexts.ts";
import {
  conversationItem,
  conversationItems,
  createConversation,
  deleteConversation,
  noteMetadata,
  oneConversation,
} from "./http/conversations.ts";
import { cancelResponse, countInputTokens, createResponse, deleteResponse, inputItems, oneResponse } from "./http/responses.ts";
import {
  createSession,
  deleteSession,
  exportSession,
  forkSession,
  importSession,
  listSessions,
  listShares,
  oneSession,
  renameSession,
  rewindSession,
  sessionTurns,
  sharedSession,
  shareSession,
  unshare,
  usage,
} from "./http/sessions.ts";
import { resumeStream, stopStream } from "./http/streams.ts";
import { detokenize, tokenize } from "./http/tokenize.ts";
import { describeCause, logLine } from "../observe/log-line.ts";
import { apiKey } from "./middleware/api-key.ts";
import { crossOrigin } from "./middleware/cross-origin.ts";
import { requestLog } from "./middleware/request-log.ts";
import { noUpgrade } from "./middleware/no-upgrade.ts";
import { settings } from "./middleware/settings.ts";
import { tenant } from "./middleware/tenant.ts";
import { responseHeaders } from "./middleware/response-headers.ts";

interface Route {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly handler: Handler<GatewayTypes>;
}

const poolReplicasPath = "/v1/pool/replicas";

const apiRoutes: readonly Route[] = [
  { method: "POST", path: "/v1/chat/completions", handler: chatCompletions },
  { method: "POST", path: "/v1/completions", handler: completions },
  { method: "POST", path: "/v1/decisions", handler: decisions },
  { method: "POST", path: "/v1/responses", handler: createResponse },
  { method: "POST", path: "/v1/responses/input_tokens", handler: countInputTokens },
  { method: "GET", path: "/v1/responses/:id", handler: oneResponse },
  { method: "DELETE", path: "/v1/responses/:id", handler: deleteResponse },
  { method: "POST", path: "/v1/responses/:id/cancel", handler: cancelResponse },
  { method: "GET", path: "/v1/responses/:id/input_items", handler: inputItems },
  { method: "POST", path: "/v1/conversations", handler: createConversation },
  { method: "GET", path: "/v1/conversations/:id", handler: oneConversation },
  { method: "POST", path: "/v1/conversations/:id", handler: noteMetadata },
  { method: "DELETE", path: "/v1/conversations/:id", handler: deleteConversation },
  { method: "GET", path: "/v1/conversations/:id/items", handler: conversationItems },
  { method: "GET", path: "/v1/conversations/:id/items/:item", handler: conversationItem },
  { method: "GET", path: "/v1/streams/:id", handler: resumeStream },
  { method: "DELETE", path: "/v1/streams/:id", handler: stopStream },
  { method: "POST", path: "/v1/sessions", handler: createSession },
  { method: "GET", path: "/v1/sessions", handler: listSessions },
  { method: "POST", path: "/v1/sessions/import", handler: importSession },
  { method: "GET", path: "/v1/sessions/:id", handler: oneSession },
  { method: "PATCH", path: "/v1/sessions/:id", handler: renameSession },
  { method: "DELETE", path: "/v1/sessions/:id", handler: deleteSession },
  { method: "GET", path: "/v1/sessions/:id/turns", handler: sessionTurns },
  { method: "POST", path: "/v1/sessions/:id/rewind", handler: rewindSession },
  { method: "POST", path: "/v1/sessions/:id/fork", handler: forkSession },
  { method: "POST", path: "/v1/sessions/:id/share", handler: shareSession },
  { method: "POST", path: "/v1/sessions/:id/export", handler: exportSession },
  { method: "GET", path: "/v1/shares", handler: listShares },
  { method: "GET", path: "/v1/shares/:id", handler: sharedSession },
  { method: "DELETE", path: "/v1/shares/:id", handler: unshare },
  { method: "POST", path: "/v1/contexts", handler: createContext },
  { method: "GET", path: "/v1/contexts", handler: listContexts },
  { method: "GET", path: "/v1/contexts/:id", handler: oneSession },
  { method: "PATCH", path: "/v1/contexts/:id", handler: renameSession },
  { method: "DELETE", path: "/v1/contexts/:id", handler: deleteSession },
  { method: "PUT", path: "/v1/contexts/:id/text", handler: appendText },
  { method: "GET", path: "/v1/contexts/:id/events", handler: contextEvents },
  { method: "GET", path: "/v1/usage", handler: usage },
  { method: "GET", path: "/v1/models", handler: listModels },
  // The rest of the path is the id: public model ids may hold slashes.
  { method: "GET", path: "/v1/models/:id{.+}", handler: oneModel },
  { method: "POST", path: poolReplicasPath, handler: tellPool },
  { method: "POST", path: "/tokenize", handler: tokenize },
  { method: "POST", path: "/detokenize", handler: detokenize },
  { method: "GET", path: "/health", handler: health },
  { method: "GET", path: "/ready", handler: ready },
];

/** A share's link is its permission, and a node's signature its. */
function needsNoKey({ method, path }: { readonly method: string; readonly path: string }): boolean {
  return (["GET", "HEAD"].includes(method) && path.startsWith("/v1/shares/")) || (method === "POST" && path === poolReplicasPath);
}

export function createApp(): Hono<GatewayTypes> {
  const app = new Hono<GatewayTypes>();
  app.use(requestLog, responseHeaders, settings, crossOrigin, noUpgrade);
  app.use("/v1/*", (c, next) => (needsNoKey(c.req) ? next() : apiKey(c, next)), tenant);
  app.use("/tokenize", apiKey);
  app.use("/detokenize", apiKey);

  for (const { method, path, handler } of apiRoutes) app.on(method, path, handler);
  for (const [path, routes] of Map.groupBy(apiRoutes, ({ path }) => path)) {
    const allow = routes.map(({ method }) => (method === "GET" ? "GET, HEAD" : method)).join(", ");
    app.all(path, (c) => errorResponse(methodNotAllowed(c.req.method, allow).failure, { allow }));
  }
  app.notFound((c) => errorResponse(routeNotFound(c.req.method).failure));
  app.onError((error, c) => {
    const { failure } = asServiceError(error);
    c.var.facts["failure"] = failure.code;
    if (failure.code === "internal_error" || failure.code === "configuration_invalid")
      logLine("error", "request_failed", { requestId: c.var.requestId, cause: describeCause(error) });
    return errorResponse(failure);
  });
  return app;
}
