/** A WebSocket is refused by name. Any other upgrade, such as `h2c`, which clients offer by themselves, is left aside as HTTP allows. */
import { createMiddleware } from "hono/factory";
import type { GatewayTypes } from "../environment.ts";
import { upgradeRefused } from "../failures.ts";

export const noUpgrade = createMiddleware<GatewayTypes>(async (c, next) => {
  const upgrade = c.req.header("upgrade");
  if (upgrade?.toLowerCase() === "websocket") throw upgradeRefused(upgrade);
  await next();
});
