/**
 * A development guard: with `API_KEYS` set, requests need one of them; without it, `Authorization` is accepted and means nothing,
 * so that clients which insist on sending a key work.
 */
import { createMiddleware } from "hono/factory";
import type { GatewayTypes } from "../environment.ts";
import { invalidApiKey } from "../failures.ts";

export const apiKey = createMiddleware<GatewayTypes>(async (c, next) => {
  const { apiKeys: keys, adminKeys } = c.var.settings;
  const key = bearerToken(c.req.header("authorization"));
  if (keys.length > 0 && !(await isOneOf(key, keys))) throw invalidApiKey();
  if (adminKeys.length > 0) c.set("isAdmin", await isOneOf(key, adminKeys));
  return next();
});

/** The key that was sent; empty without one. */
export function bearerToken(header: string | undefined): string {
  return /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1] ?? "";
}

/** Compares digests, all of them, so that time tells neither length, nor common beginnings, nor which key it was. */
async function isOneOf(candidate: string, keys: readonly string[]): Promise<boolean> {
  const given = await digest(candidate);
  const digests = await Promise.all(keys.map(digest));
  return digests.map((key) => crypto.subtle.timingSafeEqual(key, given)).some((equal) => equal);
}

function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
