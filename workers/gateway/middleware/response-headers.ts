/** Headers that every API answer carries; the web page's own come with the static assets. */
import { createMiddleware } from "hono/factory";
import type { GatewayTypes } from "../environment.ts";

export const responseHeaders = createMiddleware<GatewayTypes>(async (c, next) => {
  await next();
  c.header("x-content-type-options", "nosniff");
  c.header("referrer-policy", "no-referrer");
  c.header("x-frame-options", "DENY");
  // The reference brings its own.
  if (!c.res.headers.has("content-security-policy")) c.header("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
  c.header("cross-origin-resource-policy", "same-origin");
  // Answers belong to one client; event streams bring their own value.
  if (!c.res.headers.has("cache-control")) c.header("cache-control", "no-store");
});
