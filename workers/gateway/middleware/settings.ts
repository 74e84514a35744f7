/** Reads the Worker's variables: with a wrong one nothing is answered but what is wrong with it. */
import { createMiddleware } from "hono/factory";
import type { GatewayTypes } from "../environment.ts";
import { gatewaySettings } from "../settings.ts";

export const settings = createMiddleware<GatewayTypes>(async (c, next) => {
  c.set("settings", gatewaySettings(c.env));
  c.set("isAdmin", false);
  return next();
});
