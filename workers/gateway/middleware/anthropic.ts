/** What Anthropic's clients send and expect in headers. */
import { createMiddleware } from "hono/factory";
import type { GatewayTypes } from "../environment.ts";
import { invalidRequest } from "../failures.ts";

/** What is answered is the same in both. The newer one has no sampling fields; here they are taken under either. */
const versions: readonly string[] = ["2023-06-01", "2026-10-21"];

export const anthropicHeaders = createMiddleware<GatewayTypes>(async (c, next) => {
  c.header("request-id", c.var.requestId);
  const asked = c.req.header("anthropic-version");
  if (asked !== undefined && !versions.includes(asked)) {
    const got = JSON.stringify(asked.slice(0, 40).toWellFormed());
    throw invalidRequest(`'anthropic-version': must be ${versions.join(" or ")} (got ${got}).`, "anthropic-version");
  }
  return next();
});
