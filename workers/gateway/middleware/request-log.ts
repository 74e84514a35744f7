/** Gives every request an id, and the log one line about it. */
import { createMiddleware } from "hono/factory";
import type { Context } from "hono";
import { matchedRoutes, routePath } from "hono/route";
import type { GatewayTypes } from "../environment.ts";
import { logLine } from "../../observe/log-line.ts";

/** Bounded, and nothing that a log line or a header could be broken with. */
const clientId = /^[\w.:-]{1,128}$/;

/** The client's own `x-request-id` where it can be one, so that both sides' logs name a request alike. */
function requestIdOf(header: string | undefined): string {
  return header !== undefined && clientId.test(header) ? header : crypto.randomUUID();
}

/** The first pattern of a route, which is the one that answers; middleware has patterns with a star. */
function routeOf(c: Context<GatewayTypes>): string {
  return matchedRoutes(c).find(({ path }) => !path.includes("*"))?.path ?? routePath(c, -1);
}

export const requestLog = createMiddleware<GatewayTypes>(async (c, next) => {
  const requestId = requestIdOf(c.req.header("x-request-id"));
  const facts: Record<string, string | number | boolean> = {};
  c.set("requestId", requestId);
  c.set("facts", facts);
  const started = Date.now();
  await next();
  c.header("x-request-id", requestId);
  logLine("info", "request", {
    requestId,
    method: c.req.method,
    // The pattern, not the path: a path is client text.
    route: routeOf(c),
    status: c.res.status,
    milliseconds: Date.now() - started,
    ...facts,
  });
});
