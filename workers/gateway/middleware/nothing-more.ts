/** A route that reads no query, or no body, refuses one: what a client says is not lost without a word. */
import { createMiddleware } from "hono/factory";
import type { GatewayTypes } from "../environment.ts";
import { invalidRequest } from "../failures.ts";
import { readAtMost } from "../http/bounded-body.ts";
import { refuseQuery } from "../http/query.ts";
import { bodyLimitBytes } from "../schema/limits.ts";

export const noQuery = createMiddleware<GatewayTypes>(async (c, next) => {
  refuseQuery(c);
  return next();
});

/** An empty object is what some clients send for nothing. */
export const noBody = createMiddleware<GatewayTypes>(async (c, next) => {
  const text = c.req.raw.body === null ? "" : new TextDecoder().decode(await readAtMost(c.req.raw, bodyLimitBytes));
  if (!/^\s*(\{\s*\})?\s*$/.test(text)) throw invalidRequest("The request body must be empty: nothing is read of one here.");
  return next();
});
