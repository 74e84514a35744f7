/** Ids of sessions and contexts, in paths and bodies: where the one is asked for, none of the other is found. */
import type { GatewayContext } from "../environment.ts";
import { contextNotFound, sessionNotFound } from "../failures.ts";

const contexts = "/v1/contexts/";

/** Of the route's own kind. @throws ServiceError 404. */
export function pathId(c: GatewayContext): string {
  const id = c.req.param("id") ?? "";
  return c.req.path.startsWith(contexts) ? contextId(id) : sessionId(id);
}

/** @throws ServiceError 404. */
export function sessionId(id: string): string {
  if (!id.startsWith("sess_")) throw sessionNotFound();
  return id;
}

/** @throws ServiceError 404. */
export function contextId(id: string): string {
  if (!id.startsWith("ctx_")) throw contextNotFound();
  return id;
}
